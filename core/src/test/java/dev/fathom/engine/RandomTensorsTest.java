package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.arch.TensorCatalog;
import dev.fathom.arch.WeightRole;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.error.FathomException;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Tensors of random names, types, shapes and bytes under random configurations: each is read in the
 * shape that was found, or refused as the library refuses.
 */
class RandomTensorsTest extends StoredTensors {

  private static final int CASES = 400;
  private static final List<String> LEAVES =
      List.of(
          "weight",
          "qweight",
          "weight_packed",
          "scales",
          "qzeros",
          "g_idx",
          "scale",
          "weight_scale",
          "weight_scale_inv",
          "weight_zero_point",
          "weight_g_idx",
          "weight_shape",
          "weight_global_scale");
  private static final List<String> SECTIONS =
      List.of(
          "",
          "\"quant_method\":\"fp8\"",
          "\"quant_method\":\"fp8\",\"weight_block_size\":[32,32]",
          "\"quant_method\":\"awq\",\"group_size\":8",
          "\"quant_method\":\"awq\",\"group_size\":-1",
          "\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":8,\"desc_act\":true",
          "\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":-1,\"checkpoint_format\":\"gptq_v2\"",
          "\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":"
              + "{\"g\":{\"weights\":{\"num_bits\":4,\"group_size\":8,\"symmetric\":false}}}",
          "\"quant_method\":\"compressed-tensors\",\"config_groups\":"
              + "{\"g\":{\"weights\":{\"num_bits\":8,\"actorder\":\"group\"}}}");
  private static final long[] DIMS = {0, 1, 2, 3, 4, 7, 8, 9, 16, 31, 32, 33, 64};

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void whateverLiesInAFolderIsReadOrRefused(long seed) {
    Random random = new Random(seed);
    Map<String, Integer> outcomes = new HashMap<>();
    for (int i = 0; i < CASES; i++) {
      tensors.clear();
      int out = (int) DIMS[1 + random.nextInt(DIMS.length - 1)];
      int in = (int) DIMS[1 + random.nextInt(DIMS.length - 1)];
      fillFolder(random, out, in);
      String section = SECTIONS.get(random.nextInt(SECTIONS.size()));
      String outcome;
      try {
        outcome = readOne(section, out, in);
      } catch (FathomException e) {
        outcome = "refused";
      }
      outcomes.merge(outcome, 1, Integer::sum);
    }
    assertThat(outcomes.get("refused")).isGreaterThan(CASES / 4);
    assertThat(outcomes.get("read")).isGreaterThan(CASES / 20);
  }

  private String readOne(String section, int out, int in) {
    Checkpoint checkpoint = checkpoint(section);
    CheckpointWeights weights = new CheckpointWeights(checkpoint);
    TensorCatalog.Stored stored = weights.find("a.weight", List.of(out, in), WeightRole.LINEAR);
    if (stored == null) {
      return "absent";
    }
    if (!stored.shape().equals(List.of((long) out, (long) in))) {
      return "of another shape";
    }
    WeightRef ref = new WeightRef("a.weight", List.of(out, in), stored.format());
    WeightMatrix matrix = read(weights, checkpoint, ref);
    assertThat(matrix.bytes()).isLessThanOrEqualTo(weights.bytes(ref));
    float[] row = new float[in];
    for (int r = 0; r < out; r++) {
      matrix.decodeRow(r, row, 0);
      // Bytes of FP8 may be NaN, which is equal to itself only as an object.
      assertThat((Float) matrix.get(r, in - 1)).isEqualTo(Float.valueOf(row[in - 1]));
    }
    return "read";
  }

  /** A family of tensors that nearly fit one another. */
  private void fillFolder(Random random, int out, int in) {
    int groups = random.nextInt(3) == 0 ? 1 : Math.ceilDiv(in, 8);
    switch (random.nextInt(6)) {
      case 0 -> {
        add(random, "qweight", SafetensorsDtype.I32, in, out / 8);
        add(random, "qzeros", SafetensorsDtype.I32, groups, out / 8);
        add(random, "scales", SafetensorsDtype.F16, groups, out);
      }
      case 1 -> {
        int per = random.nextBoolean() ? 4 : 8;
        add(random, "qweight", SafetensorsDtype.I32, in / per, out);
        add(random, "qzeros", SafetensorsDtype.I32, groups, out / per);
        add(random, "scales", SafetensorsDtype.F16, groups, out);
        addIndex(random, "g_idx", in, groups);
      }
      case 2 -> {
        int per = random.nextBoolean() ? 4 : 8;
        add(random, "weight_packed", SafetensorsDtype.I32, out, Math.ceilDiv(in, per));
        add(random, "weight_scale", SafetensorsDtype.BF16, out, groups);
        add(random, "weight_zero_point", SafetensorsDtype.I32, Math.ceilDiv(out, per), groups);
        addIndex(random, "weight_g_idx", in, groups);
      }
      case 3 -> {
        add(random, "weight", SafetensorsDtype.F8_E4M3, out, in);
        add(random, "weight_scale", SafetensorsDtype.F32, out, 1);
      }
      case 4 -> {
        add(random, "weight", SafetensorsDtype.I8, out, in);
        add(random, "weight_scale", SafetensorsDtype.F32, out, groups);
      }
      default -> {
        add(random, "weight", SafetensorsDtype.I8, out, Math.ceilDiv(in, 2));
        add(random, "scale", SafetensorsDtype.F8_E8M0, out, Math.ceilDiv(in, 32));
      }
    }
    if (random.nextInt(3) == 0) {
      List<SafetensorsDtype> dtypes = List.of(SafetensorsDtype.values());
      long[] shape = new long[random.nextInt(4)];
      for (int i = 0; i < shape.length; i++) {
        shape[i] = DIMS[random.nextInt(DIMS.length)];
      }
      String leaf = LEAVES.get(random.nextInt(LEAVES.size()));
      SafetensorsDtype dtype = dtypes.get(random.nextInt(dtypes.size()));
      if (dtype.bits() % 8 == 0) {
        add(random, leaf, dtype, shape);
      }
    }
  }

  private void addIndex(Random random, String leaf, int in, int groups) {
    if (random.nextBoolean()) {
      ByteBuffer index = add(random, leaf, SafetensorsDtype.I32, in);
      boolean mangled = random.nextInt(4) == 0;
      for (int c = 0; c < in && index.hasRemaining() && !mangled; c++) {
        index.putInt(4 * c, random.nextInt(groups));
      }
    }
  }

  /** Random bytes; scales with small exponents more often than not. */
  private ByteBuffer add(Random random, String leaf, SafetensorsDtype dtype, long... shape) {
    String name = "a." + leaf;
    tensors.keySet().removeIf(spec -> spec.name().equals(name));
    ByteBuffer bytes = tensor(name, dtype, shape);
    random.nextBytes(bytes.array());
    if (leaf.contains("scale") && random.nextInt(8) != 0) {
      for (int i = 0; i < bytes.capacity(); i++) {
        bytes.put(i, (byte) (bytes.get(i) & 0x3B));
      }
    }
    return bytes;
  }
}
