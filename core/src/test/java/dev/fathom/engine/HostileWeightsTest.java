package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.arch.WeightRole;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.error.ModelConfigException;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Quantized weights that are incomplete, contradict their configuration or say it elsewhere.
 *
 * <p>Expected values are worked out by hand from the description of the formats.
 */
class HostileWeightsTest extends StoredTensors {

  private static final String GPTQ =
      "\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":8,\"sym\":true";
  private static final String COMPRESSED =
      "\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":"
          + "{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"type\":\"int\",%s}}}";

  private static final short ONE = Float.floatToFloat16(1f);

  private void fill(ByteBuffer bytes, short value) {
    while (bytes.hasRemaining()) {
      bytes.putShort(value);
    }
  }

  private void assertUnreadable(String section, WeightFormat format, int out, int in, String why) {
    assertThatThrownBy(() -> read(section, format, out, in))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining(why);
  }

  private WeightMatrix readStated(WeightFormat format, int out, int in) {
    Checkpoint checkpoint = Checkpoint.open(folder);
    CheckpointWeights weights = new CheckpointWeights(checkpoint);
    return read(weights, checkpoint, new WeightRef("a.weight", List.of(out, in), format));
  }

  /** Two groups of 8 columns, 8 rows; all codes 9, all stored zero points 7, all scales 1. */
  private void gptq(boolean indexed) {
    ByteBuffer words = tensor("a.qweight", SafetensorsDtype.I32, 2, 8);
    ByteBuffer zeros = tensor("a.qzeros", SafetensorsDtype.I32, 2, 1);
    fill(words, (short) 0x9999);
    fill(zeros, (short) 0x7777);
    fill(tensor("a.scales", SafetensorsDtype.F16, 2, 8), ONE);
    if (indexed) {
      ByteBuffer index = tensor("a.g_idx", SafetensorsDtype.I32, 16);
      for (int c = 0; c < 16; c++) {
        index.putInt(c % 2);
      }
    }
  }

  @Test
  void theWordsOfTheSpecificationDecodeToTheirColumns() {
    tensor("a.qweight", SafetensorsDtype.I32, 1, 1).putInt(0x86427531);
    tensor("a.qzeros", SafetensorsDtype.I32, 1, 1).putInt(0x11111111);
    fill(tensor("a.scales", SafetensorsDtype.F16, 1, 8), Float.floatToFloat16(0.5f));

    WeightMatrix awq = read("\"quant_method\":\"awq\"", WeightFormat.INT4, 8, 1);

    for (int r = 0; r < 8; r++) {
      assertThat(awq.get(r, 0)).isEqualTo(r * 0.5f);
    }
  }

  @Test
  void zeroPointsCountAlsoWhereTheConfigurationSaysSymmetric() {
    gptq(true);
    assertThat(read(GPTQ, WeightFormat.INT4, 8, 16).get(7, 15)).isEqualTo(1f);
    String exact = GPTQ + ",\"checkpoint_format\":\"gptq_v2\"";
    assertThat(read(exact, WeightFormat.INT4, 8, 16).get(0, 0)).isEqualTo(2f);
  }

  @Test
  void permutedGptqGroupsWithoutTheirIndexAreRefused() {
    gptq(false);
    assertUnreadable(
        GPTQ + ",\"desc_act\":true",
        WeightFormat.INT4,
        8,
        16,
        "expected g_idx beside it since desc_act=true, got none");
    assertThat(read(GPTQ + ",\"desc_act\":false", WeightFormat.INT4, 8, 16).get(0, 0))
        .isEqualTo(1f);
  }

  @Test
  void oneGroupNeedsNoIndex() {
    fill(tensor("a.qweight", SafetensorsDtype.I32, 2, 8), (short) 0x9999);
    fill(tensor("a.qzeros", SafetensorsDtype.I32, 1, 1), (short) 0x7777);
    fill(tensor("a.scales", SafetensorsDtype.F16, 1, 8), ONE);
    String section = "\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":-1,\"desc_act\":true";
    assertThat(read(section, WeightFormat.INT4, 8, 16).get(3, 3)).isEqualTo(1f);
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 2, Integer.MIN_VALUE, Integer.MAX_VALUE})
  void groupsThatDoNotExistAreRefused(int group) {
    gptq(false);
    tensor("a.g_idx", SafetensorsDtype.I32, 16).putInt(60, group);
    assertUnreadable(GPTQ, WeightFormat.INT4, 8, 16, "groupIndex[15]=" + group);
  }

  @Test
  void modulesWithGroupsOfTheirOwnAreDeclaredAsDynamic() {
    gptq(false);
    String other =
        "\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":128,\"desc_act\":true,\"dynamic\":"
            + "{\"+:.*a.*\":{\"bits\":4,\"group_size\":8},\"-:.*gate.*\":{}}";
    assertThat(read(other, WeightFormat.INT4, 8, 16).get(0, 0)).isEqualTo(1f);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "qzeros | 2,2 | a.qweight",
        "qzeros | 1,1 | a.qzeros",
        "scales | 3,8 | a.scales",
        "scales | 2,7 | a.qweight",
        "g_idx | 15 | a.g_idx",
      })
  void companionsOfAnotherShapeAreRefusedByName(String leaf, String shape, String named) {
    long[] dims = List.of(shape.split(",")).stream().mapToLong(Long::parseLong).toArray();
    gptq(true);
    tensors.keySet().removeIf(spec -> spec.name().equals("a." + leaf));
    tensor("a." + leaf, leaf.equals("scales") ? SafetensorsDtype.F16 : SafetensorsDtype.I32, dims);
    CheckpointWeights weights = open(GPTQ);
    assertThatThrownBy(() -> weights.find("a.weight", List.of(8, 16), WeightRole.LINEAR))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining(named);
  }

  @ParameterizedTest
  @ValueSource(strings = {"qzeros", "scales"})
  void missingCompanionsAreRefusedByName(String leaf) {
    gptq(true);
    tensors.keySet().removeIf(spec -> spec.name().equals("a." + leaf));
    assertRefused(open(GPTQ), "a.weight", "a." + leaf);
  }

  @Test
  void rowsThatFillNoWordsOfAwqAreRefused() {
    tensor("a.qweight", SafetensorsDtype.I32, 16, 1);
    tensor("a.qzeros", SafetensorsDtype.I32, 1, 1);
    tensor("a.scales", SafetensorsDtype.F16, 1, 12);
    assertRefused(open("\"quant_method\":\"awq\""), "a.weight", "expected [in, out/8] (AWQ)");
  }

  @Test
  void asymmetricIntegersWithoutZeroPointsAreRefused() {
    tensor("a.weight_packed", SafetensorsDtype.I32, 8, 2);
    tensor("a.weight_scale", SafetensorsDtype.BF16, 8, 2);
    tensor("b.weight", SafetensorsDtype.I8, 8, 16);
    tensor("b.weight_scale", SafetensorsDtype.F32, 8, 1);
    CheckpointWeights weights =
        open(COMPRESSED.formatted("\"num_bits\":4,\"group_size\":8,\"symmetric\":false"));
    String why = "expected weight_zero_point beside it since symmetric=false, got none";
    assertThatThrownBy(() -> weights.find("a.weight", List.of(8, 16), WeightRole.LINEAR))
        .hasMessageContaining(why);
    assertRefused(weights, "b.weight", why);
  }

  @Test
  void asymmetricIntegersTakeTheirPackedZeroPoints() {
    tensor("a.weight_packed", SafetensorsDtype.I32, 2, 1).putInt(0xDA5F9870).putInt(0);
    tensor("a.weight_scale", SafetensorsDtype.F16, 2, 1).putShort(ONE).putShort(ONE);
    // Stored with the offset 8: row 0 has zero point -1, row 1 has 7.
    tensor("a.weight_zero_point", SafetensorsDtype.I32, 1, 1).putInt(0xF7);
    String section = COMPRESSED.formatted("\"num_bits\":4,\"symmetric\":false");

    WeightMatrix matrix = read(section, WeightFormat.INT4, 2, 8);

    int[] signed = {-8, -1, 0, 1, 7, -3, 2, 5};
    for (int c = 0; c < 8; c++) {
      assertThat(matrix.get(0, c)).isEqualTo(signed[c] + 1f);
      assertThat(matrix.get(1, c)).isEqualTo(-8f - 7f);
    }
  }

  @ParameterizedTest
  @CsvSource({"4, 7, -1", "8, -1, 119"})
  void theConfigurationTellsTheWidthWhereOneWordHoldsARowEitherWay(
      int bits, float first, float second) {
    // 0x7F: at 4 bits the codes 15 and 7, at 8 bits the code 127; then 0xF7 gives 247 at 8 bits.
    tensor("a.weight_packed", SafetensorsDtype.I32, 1, 1).putInt(0xF77F);
    tensor("a.weight_scale", SafetensorsDtype.F16, 1, 1).putShort(ONE);
    WeightFormat format = bits == 4 ? WeightFormat.INT4 : WeightFormat.INT8;

    WeightMatrix matrix = read(COMPRESSED.formatted("\"num_bits\":" + bits), format, 1, 2);

    assertThat(matrix.get(0, 0)).isEqualTo(first);
    assertThat(matrix.get(0, 1)).isEqualTo(second);
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 5, 16})
  void otherWidthsOfCompressedTensorsAreRefused(int bits) {
    assertThatThrownBy(() -> open(COMPRESSED.formatted("\"num_bits\":" + bits)))
        .hasMessageStartingWith("FATHOM-2013")
        .hasMessageContaining("must be one of [4, 8]: num_bits=\"" + bits + "\"");
  }

  private void packedInOrder(int... index) {
    tensor("a.weight_packed", SafetensorsDtype.I32, 1, 1).putInt(0x99999999);
    tensor("a.weight_scale", SafetensorsDtype.F16, 1, 2).putShort(ONE).putShort((short) 0x4000);
    if (index.length > 0) {
      ByteBuffer bytes = tensor("a.weight_g_idx", SafetensorsDtype.I32, 8);
      for (int c = 0; c < 8; c++) {
        bytes.putInt(index[c % index.length]);
      }
    }
  }

  @Test
  void anIndexThatWasLeftUnsetMeansColumnsInTheirOrder() {
    packedInOrder(-1);
    WeightMatrix plain =
        read(COMPRESSED.formatted("\"num_bits\":4,\"group_size\":4"), WeightFormat.INT4, 1, 8);
    assertThat(plain.get(0, 3)).isEqualTo(1f);
    assertThat(plain.get(0, 4)).isEqualTo(2f);
  }

  @Test
  void anIndexGivesEachColumnItsGroup() {
    packedInOrder(1, 0);
    WeightMatrix permuted =
        read(
            COMPRESSED.formatted("\"num_bits\":4,\"group_size\":4,\"actorder\":\"group\""),
            WeightFormat.INT4,
            1,
            8);
    assertThat(permuted.get(0, 0)).isEqualTo(2f);
    assertThat(permuted.get(0, 5)).isEqualTo(1f);
  }

  @Test
  void permutedGroupsOfCompressedTensorsWithoutTheirIndexAreRefused() {
    packedInOrder();
    assertUnreadable(
        COMPRESSED.formatted("\"num_bits\":4,\"group_size\":4,\"actorder\":\"group\""),
        WeightFormat.INT4,
        1,
        8,
        "expected weight_g_idx beside it since actorder=\"group\", got none");
    assertThat(
            read(
                    COMPRESSED.formatted("\"num_bits\":4,\"group_size\":4,\"actorder\":\"weight\""),
                    WeightFormat.INT4,
                    1,
                    8)
                .get(0, 7))
        .isEqualTo(2f);
  }

  @Test
  void blocksThatAreNotSquareAreTakenFromTheConfiguration() {
    ByteBuffer bytes = tensor("a.weight", SafetensorsDtype.F8_E4M3, 130, 70);
    bytes.put(129 * 70 + 69, (byte) 0x38).put(0, (byte) 0x38).put(64, (byte) 0x38);
    tensor("a.weight_scale", SafetensorsDtype.F32, 2, 2)
        .putFloat(2f)
        .putFloat(3f)
        .putFloat(5f)
        .putFloat(7f);
    WeightMatrix matrix =
        read(
            "\"quant_method\":\"compressed-tensors\",\"format\":\"float-quantized\","
                + "\"config_groups\":{\"g\":{\"weights\":{\"type\":\"float\",\"num_bits\":8,"
                + "\"strategy\":\"block\",\"block_structure\":[128,64]}}}",
            WeightFormat.FP8_E4M3,
            130,
            70);
    assertThat(matrix.get(0, 0)).isEqualTo(2f);
    assertThat(matrix.get(0, 64)).isEqualTo(3f);
    assertThat(matrix.get(129, 69)).isEqualTo(7f);
  }

  @ParameterizedTest
  @CsvSource({"F32, 2139095040", "F32, -1", "F16, 31744", "BF16, 32640", "F8_E8M0, 255"})
  void scalesOfFp8ThatAreNotFiniteAreRefused(SafetensorsDtype dtype, int bits) {
    tensor("a.weight", SafetensorsDtype.F8_E4M3, 300, 4);
    ByteBuffer scales = tensor("a.weight_scale_inv", dtype, 3, 1);
    switch (dtype.bits()) {
      case 32 -> scales.putInt(8, bits);
      case 16 -> scales.putShort(4, (short) bits);
      default -> scales.put(2, (byte) bits);
    }
    assertUnreadable(
        "\"quant_method\":\"fp8\"",
        WeightFormat.FP8_E4M3,
        300,
        4,
        "expected finite scales, got an infinity or NaN: element=2");
  }

  @Test
  void scalesOfIntegersAndFp4ThatAreNotFiniteAreRefused() {
    gptq(true);
    tensors
            .get(
                tensors.keySet().stream()
                    .filter(s -> s.name().equals("a.scales"))
                    .findFirst()
                    .get())[31] =
        0x7E;
    assertUnreadable(GPTQ, WeightFormat.INT4, 8, 16, "element=15");
    tensors.clear();
    tensor("a.weight", SafetensorsDtype.I8, 2, 2);
    tensor("a.weight_scale", SafetensorsDtype.BF16, 2, 1).putShort(2, (short) 0xFF80);
    assertUnreadable("", WeightFormat.INT8, 2, 2, "element=1");
    tensors.clear();
    tensor("a.weight", SafetensorsDtype.I8, 2, 16);
    tensor("a.scale", SafetensorsDtype.F8_E8M0, 2, 1).put(1, (byte) 0xFF);
    assertUnreadable("", WeightFormat.MXFP4, 2, 32, "element=1");
  }

  @Test
  void largestAndSmallestFiniteScalesAreRead() {
    tensor("a.weight", SafetensorsDtype.F8_E4M3, 300, 1).put(0, (byte) 0x38).put(299, (byte) 0x38);
    tensor("a.weight_scale_inv", SafetensorsDtype.F32, 3, 1)
        .putFloat(Float.MAX_VALUE)
        .putFloat(0f)
        .putFloat(-Float.MIN_VALUE);
    WeightMatrix matrix = read("\"quant_method\":\"fp8\"", WeightFormat.FP8_E4M3, 300, 1);
    assertThat(matrix.get(0, 0)).isEqualTo(Float.MAX_VALUE);
    assertThat(matrix.get(299, 0)).isEqualTo(-Float.MIN_VALUE);
  }

  @Test
  void nvfp4IsRefusedByName() {
    tensor("a.weight_packed", SafetensorsDtype.U8, 4, 2);
    tensor("a.weight_scale", SafetensorsDtype.F8_E4M3, 4, 1);
    tensor("a.weight_global_scale", SafetensorsDtype.F32, 1);
    assertRefused(open(""), "a.weight", "NVFP4 is not supported");
  }

  @Test
  void listsOfWhatIsNotConvertedAreNotNeededWhateverTheySay() {
    gptq(true);
    tensor("b.weight", SafetensorsDtype.BF16, 2, 2).putShort((short) 0x3F80);
    String lists =
        ",\"modules_to_not_convert\":[\"a\",\"re:.*gate$\"],\"ignore\":[\"re:(a|\",\"lm_head\"]";
    assertThat(read(GPTQ + lists, WeightFormat.INT4, 8, 16).get(0, 0)).isEqualTo(1f);
    Checkpoint checkpoint = Checkpoint.open(folder);
    WeightRef plain = new WeightRef("b.weight", List.of(2, 2), WeightFormat.BF16);
    assertThat(read(new CheckpointWeights(checkpoint), checkpoint, plain).get(0, 0)).isEqualTo(1f);
  }

  /** As llm-compressor writes them. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"num_bits\":4,\"type\":\"int\",\"symmetric\":true,\"group_size\":128,\"strategy\":"
            + "\"group\",\"block_structure\":null,\"dynamic\":false,\"actorder\":null,"
            + "\"observer\":\"minmax\",\"observer_kwargs\":{}}",
        "{\"num_bits\":8,\"type\":\"int\",\"symmetric\":true,\"group_size\":null,\"strategy\":"
            + "\"channel\",\"block_structure\":null,\"dynamic\":false,\"actorder\":\"weight\"}",
        "{\"num_bits\":8,\"type\":\"float\",\"symmetric\":true,\"group_size\":null,\"strategy\":"
            + "\"block\",\"block_structure\":[128,128],\"dynamic\":false}",
        "{\"num_bits\":8,\"type\":\"float\",\"symmetric\":true,\"strategy\":\"tensor\"}",
        "null",
      })
  void sectionsAsTheyArePublishedAreUnderstood(String weights) {
    open(
        "\"quant_method\":\"compressed-tensors\",\"quantization_status\":\"compressed\",\"format\":"
            + "\"mixed-precision\",\"global_compression_ratio\":null,\"kv_cache_scheme\":null,"
            + "\"sparsity_config\":{},\"transform_config\":{},\"ignore\":[\"re:.*mlp.gate$\"],"
            + "\"config_groups\":{\"group_0\":{\"format\":null,\"targets\":[\"re:.*q_proj\"],"
            + "\"input_activations\":null,\"output_activations\":null,\"weights\":"
            + weights
            + "}}");
  }

  @Test
  void theConfigurationMayStandBesideItOrUnderItsOlderName() throws IOException {
    gptq(true);
    checkpoint("");
    String older = "{\"bits\":4,\"group_size\":8,\"desc_act\":true,\"sym\":false}";
    Files.writeString(folder.resolve("quantize_config.json"), older);
    assertThat(readStated(WeightFormat.INT4, 8, 16).get(0, 0)).isEqualTo(1f);

    Files.writeString(folder.resolve("quantize_config.json"), older.replace("4", "3"));
    assertThatThrownBy(() -> readStated(WeightFormat.INT4, 8, 16)).hasMessageContaining("bits");

    checkpoint(GPTQ + ",\"checkpoint_format\":\"gptq_v2\"");
    assertThat(readStated(WeightFormat.INT4, 8, 16).get(0, 0)).as("config.json wins").isEqualTo(2f);
  }

  @Test
  void theOlderKeysOfAwqAreUnderstood() throws IOException {
    tensor("a.qweight", SafetensorsDtype.I32, 4, 1).putInt(0x86427531);
    tensor("a.qzeros", SafetensorsDtype.I32, 2, 1);
    fill(tensor("a.scales", SafetensorsDtype.F16, 2, 8), ONE);
    checkpoint("");
    Files.writeString(
        folder.resolve("quant_config.json"),
        "{\"zero_point\":true,\"q_group_size\":2,\"w_bit\":4,\"version\":\"GEMM\"}");
    assertThat(readStated(WeightFormat.INT4, 8, 4).get(7, 0)).isEqualTo(8f);

    Files.writeString(folder.resolve("quant_config.json"), "{\"w_bit\":3}");
    assertThatThrownBy(() -> readStated(WeightFormat.INT4, 8, 4))
        .hasMessageContaining("must be one of [4]: bits=\"3\"");
  }

  @Test
  void compressionConfigIsTheSameSection() throws IOException {
    packedInOrder();
    checkpoint("");
    Files.writeString(
        folder.resolve("config.json"),
        "{\"model_type\":\"m\",\"compression_config\":{\"format\":\"pack-quantized\","
            + "\"config_groups\":{\"g\":{\"weights\":{\"num_bits\":4,\"group_size\":4}}}}}");
    assertThat(readStated(WeightFormat.INT4, 1, 8).get(0, 7)).isEqualTo(2f);

    Files.writeString(
        folder.resolve("config.json"),
        "{\"model_type\":\"m\",\"compression_config\":{\"quant_method\":\"sparse\"}}");
    assertThatThrownBy(() -> readStated(WeightFormat.INT4, 1, 8))
        .hasMessageContaining("[awq, compressed-tensors, fp8, gptq]: quant_method=\"sparse\"");
  }
}
