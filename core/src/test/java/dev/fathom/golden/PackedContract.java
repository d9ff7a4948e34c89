package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.ContractPromises;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.backend.reference.ReferenceProvider;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.golden.PackedCheckpoint.Loaded;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.io.TempDir;

/**
 * A whole model in each packed format, quantized by a plain encoder of the tests and loaded as
 * users load: its weights are the encoder's bit for bit, and its logits those of the float model of
 * the decoded weights within 2e-4.
 */
public abstract class PackedContract extends ContractPromises {

  private static final double MAX_DIFFERENCE = 2e-4;
  private static final String FP8 =
      "{\"quant_method\":\"fp8\",\"fmt\":\"e4m3\",\"activation_scheme\":\"dynamic\"%s}";

  @TempDir Path folder;

  @Test
  void awqModelsAreTheirDecodedWeights(TestReporter reporter) {
    String config =
        "{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":16,\"zero_point\":true,"
            + "\"version\":\"gemm\",\"modules_to_not_convert\":[\"down_proj\"]}";
    check(config, linear -> linear.awq(16), WeightFormat.INT4, reporter);
  }

  @Test
  void gptqModelsOfVersion1AreTheirDecodedWeights(TestReporter reporter) {
    check(gptq(4, 32, "gptq"), l -> l.gptq(4, 32, -1, false), WeightFormat.INT4, reporter);
  }

  @Test
  void gptqModelsOfVersion2AreTheirDecodedWeights(TestReporter reporter) {
    check(gptq(4, 32, "gptq_v2"), l -> l.gptq(4, 32, 0, false), WeightFormat.INT4, reporter);
  }

  @Test
  void gptqModelsWithPermutedGroupsAreTheirDecodedWeights(TestReporter reporter) {
    check(gptq(4, 16, "gptq"), l -> l.gptq(4, 16, -1, true), WeightFormat.INT4, reporter);
  }

  @Test
  void gptqModelsOf8BitsAreTheirDecodedWeights(TestReporter reporter) {
    check(gptq(8, -1, "gptq"), l -> l.gptq(8, l.in(), -1, false), WeightFormat.INT8, reporter);
  }

  private static String gptq(int bits, int groupSize, String version) {
    return "{\"quant_method\":\"gptq\",\"bits\":"
        + bits
        + ",\"group_size\":"
        + groupSize
        + ",\"checkpoint_format\":\""
        + version
        + "\",\"desc_act\":true}";
  }

  @Test
  void compressedTensorsOf4BitsAreTheirDecodedWeights(TestReporter reporter) {
    check(compressed(16), linear -> linear.packed(4, 16, true), WeightFormat.INT4, reporter);
  }

  @Test
  void compressedTensorsOf4BitsWithZeroPointsAreTheirDecodedWeights(TestReporter reporter) {
    check(compressed(16), linear -> linear.packed(4, 16, false), WeightFormat.INT4, reporter);
  }

  @Test
  void compressedTensorsOf8BitsAreTheirDecodedWeights(TestReporter reporter) {
    check(compressed(-1), l -> l.packed(8, l.in(), true), WeightFormat.INT8, reporter);
  }

  @Test
  void compressedTensorsWithPermutedGroupsAreTheirDecodedWeights(TestReporter reporter) {
    check(compressed(16), l -> l.packedInOrder(4, 16, true), WeightFormat.INT4, reporter);
  }

  @Test
  void compressedTensorsOf8BitsInGroupsWithZeroPointsAreTheirDecodedWeights(TestReporter reporter) {
    check(compressed(32), l -> l.packed(8, 32, false), WeightFormat.INT8, reporter);
  }

  @Test
  void compressedTensorsOf4BitsWithAScaleForEachRowAreTheirDecodedWeights(TestReporter reporter) {
    check(compressed(-1), l -> l.packed(4, l.in(), true), WeightFormat.INT4, reporter);
  }

  @Test
  void fp8ModelsWithOneScaleForAMatrixAreTheirDecodedWeights(TestReporter reporter) {
    String config = "{\"quant_method\":\"compressed-tensors\",\"format\":\"float-quantized\"}";
    check(config, PackedLinear::fp8Tensor, WeightFormat.FP8_E4M3, reporter);
  }

  @Test
  void modelsOfFloat16AreTheirWeights(TestReporter reporter) {
    check("", linear -> linear.dense(SafetensorsDtype.F16), WeightFormat.F16, reporter);
  }

  @Test
  void modelsOfFloat32AreTheirWeights(TestReporter reporter) {
    check("", linear -> linear.dense(SafetensorsDtype.F32), WeightFormat.F32, reporter);
  }

  private static String compressed(int groupSize) {
    return "{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"ignore\":"
        + "[\"lm_head\"],\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":"
        + "{\"group_size\":"
        + groupSize
        + "}}}}";
  }

  @Test
  void int8ModelsWithAScaleForEachRowAreTheirDecodedWeights(TestReporter reporter) {
    String config = "{\"quant_method\":\"compressed-tensors\",\"format\":\"int-quantized\"}";
    check(config, PackedLinear::int8, WeightFormat.INT8, reporter);
  }

  @Test
  void fp8ModelsWithAScaleForEachRowAreTheirDecodedWeights(TestReporter reporter) {
    String config = "{\"quant_method\":\"compressed-tensors\",\"format\":\"float-quantized\"}";
    check(config, PackedLinear::fp8Channel, WeightFormat.FP8_E4M3, reporter);
  }

  @Test
  void fp8ModelsInBlocksOf32AreTheirDecodedWeights(TestReporter reporter) {
    String config = FP8.formatted(",\"weight_block_size\":[32,32],\"scale_fmt\":\"ue8m0\"");
    check(config, linear -> linear.fp8Blocks(32), WeightFormat.FP8_E4M3, reporter);
  }

  @Test
  void fp8ModelsThatDoNotSayTheirBlocksAreTheirDecodedWeights(TestReporter reporter) {
    check(FP8.formatted(""), linear -> linear.fp8Blocks(64), WeightFormat.FP8_E4M3, reporter);
  }

  @Test
  void fp4ModelsAreTheirDecodedWeights(TestReporter reporter) {
    check(
        FP8.formatted(""),
        linear -> {
          if (linear.in() % 32 == 0) {
            linear.mxfp4();
          } else {
            linear.fp8Blocks(128);
          }
        },
        WeightFormat.MXFP4,
        reporter);
  }

  @Test
  void modelsOfSeveralFormatsNeedNoList(TestReporter reporter) {
    check(
        "",
        linear -> {
          switch (linear.in()) {
            case 128 -> linear.awq(16);
            case 64 -> linear.packed(4, 32, false);
            case 96 -> linear.int8();
            case 32 -> linear.fp8Channel();
            default -> {}
          }
        },
        WeightFormat.INT4,
        reporter);
  }

  private void check(
      String config, PackedCheckpoint.Packing packing, WeightFormat format, TestReporter reporter) {
    PackedCheckpoint packed = new PackedCheckpoint(folder, config, packing);
    Checkpoint checkpoint = Checkpoint.open(folder);
    CheckpointWeights catalog = new CheckpointWeights(checkpoint);
    Loaded loaded = Loaded.of(checkpoint, catalog);
    assertThat(loaded.program().weights())
        .filteredOn(weight -> packed.decoded().containsKey(weight.name()))
        .hasSameSizeAs(packed.decoded().keySet())
        .anyMatch(weight -> weight.format() == format)
        .noneMatch(weight -> weight.format().isDense() != format.isDense());
    checkBytes(checkpoint, catalog, loaded);
    checkPlaced(packed.decoded(), loaded);
    checkWeights(packed.decoded(), loaded);
    checkWeights(packed.decoded(), Loaded.mapped(checkpoint, catalog));
    double worst = 0;
    float[] want = logits(new ReferenceProvider(), packed.floats(checkpoint));
    float[] got = logits(provider(), loaded);
    assertThat(got).hasSameSizeAs(want);
    for (int i = 0; i < want.length; i++) {
      double difference = Math.abs((double) got[i] - want[i]);
      assertThat(difference).as("logit %d", i).isLessThanOrEqualTo(tolerance(MAX_DIFFERENCE));
      worst = Math.max(worst, difference);
    }
    reporter.publishEntry(format.name(), "max |dlogit| " + worst);
  }

  private static void checkBytes(Checkpoint checkpoint, CheckpointWeights catalog, Loaded loaded) {
    long stored = loaded.program().weights().stream().mapToLong(catalog::storedBytes).sum();
    assertThat(stored).isEqualTo(checkpoint.weightBytes());
    assertThat(catalog.numFiles(loaded.program().weights())).isEqualTo(checkpoint.files().size());
    for (WeightRef weight : loaded.program().weights()) {
      WeightMatrix matrix = loaded.weights().read(weight);
      assertThat(matrix.bytes()).as(weight.name()).isLessThanOrEqualTo(catalog.bytes(weight));
      assertThat(matrix.format()).isEqualTo(weight.format());
    }
  }

  /** Weights stay packed: what is loaded has the format's bits, and a backend adds next to none. */
  private void checkPlaced(Map<String, float[]> decoded, Loaded loaded) {
    try (Backend backend = provider().create(1)) {
      for (WeightRef weight : loaded.program().weights()) {
        if (decoded.containsKey(weight.name())) {
          long elements = (long) weight.rows() * weight.cols();
          long packed = elements * weight.format().bitsPerWeight() / Byte.SIZE;
          WeightMatrix matrix = loaded.weights().read(weight);
          assertThat(matrix.data().byteSize()).as(weight.name()).isEqualTo(packed);
          backend.place(weight, matrix);
          // A backend reads the packed bytes, or repacks them into less than a copy in 16 bits.
          long panels = 2L * padded(weight.rows()) * padded(weight.cols());
          assertThat(backend.placedBytes(weight))
              .as(weight.name())
              .isLessThan(backend.keepsSource(weight) ? packed / 8 : panels);
        }
      }
    }
  }

  /** Panels are padded: at most to 64 rows and columns. */
  private static long padded(int size) {
    return Math.ceilDiv(size, 64) * 64L;
  }

  private static void checkWeights(Map<String, float[]> decoded, Loaded loaded) {
    for (WeightRef weight : loaded.program().weights()) {
      float[] want = decoded.get(weight.name());
      if (want != null) {
        WeightMatrix matrix = loaded.weights().read(weight);
        float[] got = new float[want.length];
        for (int r = 0; r < weight.rows(); r++) {
          matrix.decodeRow(r, got, r * weight.cols());
        }
        for (int i = 0; i < want.length; i++) {
          // Adding zero makes -0 and 0 the same.
          assertThat(got[i] + 0f).as("%s[%d]", weight.name(), i).isEqualTo(want[i] + 0f);
        }
      }
    }
  }

  private static float[] logits(BackendProvider provider, Loaded model) {
    int[] tokens = Golden.of(Golden.TRANSFORMERS).tokens();
    try (Rig rig = new Rig(provider, model.program(), model.weights(), new Capacities())) {
      return rig.run(Seq.all(rig.blocksFor(tokens.length), 0, tokens)).logits();
    }
  }
}
