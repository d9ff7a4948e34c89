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
import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class CheckpointWeightsTest extends StoredTensors {

  @Test
  void exponentScalesInV4sNamingAreMultipliers() {
    tensor("a.weight", SafetensorsDtype.F8_E4M3, 130, 3).put(0, (byte) 0x38).put(129 * 3, (byte) 1);
    tensor("a.scale", SafetensorsDtype.F8_E8M0, 2, 1).put((byte) 120).put((byte) 0);

    WeightMatrix matrix = read("\"quant_method\":\"fp8\"", WeightFormat.FP8_E4M3, 130, 3);

    assertThat(matrix.get(0, 0)).isEqualTo(0x1p-7f);
    assertThat(matrix.get(129, 0)).isEqualTo(0x1p-136f);
  }

  @Test
  void bytesWithExponentsArePairsOfFp4LowNibbleFirst() {
    tensor("a.weight", SafetensorsDtype.I8, 2, 16).put(0, (byte) 0xF1).put(31, (byte) 0x20);
    tensor("a.scale", SafetensorsDtype.F8_E8M0, 2, 1).put((byte) 128).put((byte) 127);

    WeightMatrix matrix = read("\"quant_method\":\"fp8\"", WeightFormat.MXFP4, 2, 32);

    assertThat(matrix.get(0, 0)).isEqualTo(1f);
    assertThat(matrix.get(0, 1)).isEqualTo(-12f);
    assertThat(matrix.get(1, 31)).isEqualTo(1f);
  }

  @Test
  void packedFp4OfCompressedTensorsIsTheSame() {
    tensor("a.weight_packed", SafetensorsDtype.U8, 1, 16).put(0, (byte) 0x72);
    tensor("a.weight_scale", SafetensorsDtype.U8, 1, 1).put((byte) 126);

    WeightMatrix matrix =
        read(
            "\"quant_method\":\"compressed-tensors\",\"format\":\"mxfp4-pack-quantized\"",
            WeightFormat.MXFP4,
            1,
            32);

    assertThat(matrix.get(0, 0)).isEqualTo(0.5f);
    assertThat(matrix.get(0, 1)).isEqualTo(3f);
  }

  @Test
  void paddingOfTheLastWordIsCutToTheShapeThatTheFileStates() {
    tensor("a.weight_packed", SafetensorsDtype.I32, 3, 2).putInt(4, 0x00000F70);
    tensor("a.weight_scale", SafetensorsDtype.BF16, 3, 1).putShort(0, (short) 0x3F80);
    tensor("a.weight_shape", SafetensorsDtype.I64, 2).putLong(3).putLong(11);

    WeightMatrix matrix = read("", WeightFormat.INT4, 3, 11);

    assertThat(matrix.get(0, 8)).isEqualTo(-8f);
    assertThat(matrix.get(0, 9)).isEqualTo(-1f);
    assertThat(matrix.get(0, 10)).isEqualTo(7f);
  }

  @Test
  void aShapeThatContradictsTheConfigurationIsRefusedWhenReading() {
    tensor("a.weight_packed", SafetensorsDtype.I32, 3, 2);
    tensor("a.weight_scale", SafetensorsDtype.F16, 3, 1);
    tensor("a.weight_shape", SafetensorsDtype.I64, 2).putLong(3).putLong(12);

    assertThatThrownBy(() -> read("", WeightFormat.INT4, 3, 11))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining("a.weight_packed")
        .hasMessageContaining("expected [3, 11], got [3, 12]");
  }

  @Test
  void oneScaleForAllIsTakenForEveryRow() {
    tensor("a.weight", SafetensorsDtype.I8, 2, 2).putInt(0x05_FD_02_01);
    tensor("a.weight_scale", SafetensorsDtype.F32, 1).putFloat(0.5f);

    WeightMatrix matrix = read("", WeightFormat.INT8, 2, 2);

    assertThat(matrix.get(0, 1)).isEqualTo(1f);
    assertThat(matrix.get(1, 0)).isEqualTo(-1.5f);
    assertThat(matrix.get(1, 1)).isEqualTo(2.5f);
  }

  @ParameterizedTest
  @CsvSource({"F32,F32", "BF16,BF16", "F16,F16"})
  void aScalarScaleOfFp8MayBeAnyFloat(SafetensorsDtype dtype, WeightFormat format) {
    tensor("a.weight", SafetensorsDtype.F8_E4M3, 2, 2).put(3, (byte) 0x40);
    ByteBuffer scale = tensor("a.weight_scale", dtype);
    switch (format) {
      case F32 -> scale.putFloat(0.25f);
      case BF16 -> scale.putShort((short) 0x3E80);
      default -> scale.putShort(Float.floatToFloat16(0.25f));
    }

    assertThat(read("", WeightFormat.FP8_E4M3, 2, 2).get(1, 1)).isEqualTo(0.5f);
  }

  @ParameterizedTest
  @EnumSource(names = {"I32", "I64"})
  void tablesOfIntegersBecomeFloats(SafetensorsDtype dtype) {
    ByteBuffer ids = tensor("a.tid2eid", dtype, 2, 2);
    for (int i = 0; i < 4; i++) {
      int id = (1 << 24) - 1 - i;
      if (dtype == SafetensorsDtype.I64) {
        ids.putLong(id);
      } else {
        ids.putInt(id);
      }
    }
    Checkpoint checkpoint = checkpoint("");
    CheckpointWeights weights = new CheckpointWeights(checkpoint);
    WeightRef table = new WeightRef("a.tid2eid", List.of(2, 2), WeightFormat.F32);

    WeightMatrix matrix = read(weights, checkpoint, table);

    assertThat(matrix.get(0, 0)).isEqualTo(16777215f);
    assertThat(matrix.get(1, 1)).isEqualTo(16777212f);
    assertThat(weights.bytes(table)).isEqualTo(16);
    assertThat(weights.storedBytes(table)).isEqualTo(4L * dtype.bits() / 8);
  }

  @ParameterizedTest
  @CsvSource({"16777216", "-1", "9223372036854775807"})
  void idsThatFloatsCannotHoldAreRefused(long id) {
    tensor("a.tid2eid", SafetensorsDtype.I64, 1, 2).putLong(8, id);
    Checkpoint checkpoint = checkpoint("");
    WeightRef table = new WeightRef("a.tid2eid", List.of(1, 2), WeightFormat.F32);

    assertThatThrownBy(() -> read(new CheckpointWeights(checkpoint), checkpoint, table))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining("a.tid2eid")
        .hasMessageContaining("expected integers in [0, 16777216), got element 1 = " + id);
  }

  @Test
  void companionsCountInBytesFilesAndOrder() {
    shardBytes = 600;
    tensor("b.weight", SafetensorsDtype.F32, 2, 2);
    tensor("a.qweight", SafetensorsDtype.I32, 16, 8);
    tensor("a.qzeros", SafetensorsDtype.I32, 1, 8);
    tensor("a.scales", SafetensorsDtype.F16, 1, 64);
    CheckpointWeights weights =
        open("\"quant_method\":\"awq\",\"bits\":4,\"group_size\":-1,\"version\":\"gemm\"");
    WeightRef a = new WeightRef("a.weight", List.of(64, 16), WeightFormat.INT4);
    WeightRef b = new WeightRef("b.weight", List.of(2, 2), WeightFormat.F32);

    assertThat(weights.storedBytes(a)).isEqualTo(16 * 8 * 4 + 8 * 4 + 64 * 2);
    assertThat(weights.bytes(a)).isEqualTo(64 * 8 + 64 * 2 + 64);
    assertThat(weights.numFiles(List.of(b))).isEqualTo(1);
    assertThat(weights.numFiles(List.of(a, b))).isEqualTo(2);
    assertThat(weights.inFileOrder(List.of(a, b))).containsExactly(b, a);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"quant_method\":\"bitsandbytes\" | [awq, compressed-tensors, fp8, gptq]: quant_method",
        "\"quant_method\":\"awq\",\"version\":\"marlin\" | one of [gemm]: version='marlin'",
        "\"quant_method\":\"awq\",\"version\":\"gemv\" | one of [gemm]: version='gemv'",
        "\"quant_method\":\"awq\",\"bits\":8 | one of [4]: bits='8'",
        "\"quant_method\":\"gptq\",\"bits\":3 | one of [4, 8]: bits='3'",
        "\"quant_method\":\"gptq\",\"checkpoint_format\":\"marlin\" | checkpoint_format='marlin'",
        "\"quant_method\":\"gptq\",\"is_marlin_format\":true | is_marlin_format='true'",
        "\"quant_method\":\"compressed-tensors\",\"format\":\"marlin-24\" | format='marlin-24'",
        "\"quant_method\":\"compressed-tensors\",\"format\":\"nvfp4-pack-quantized\" | nvfp4",
      })
  void whatCannotBeReadIsRefusedByNameWithWhatCan(String section, String message) {
    String quoted = message.replace('\'', '"');
    assertThatThrownBy(() -> open(section))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining(quoted)
        .hasMessageContaining("FATHOM-2013");
  }

  @Test
  void awqWordsUnderGptqsNameAreRefused() {
    tensor("a.qweight", SafetensorsDtype.I32, 16, 8);
    tensor("a.qzeros", SafetensorsDtype.I32, 1, 8);
    tensor("a.scales", SafetensorsDtype.F16, 1, 64);
    CheckpointWeights weights = open("\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16");

    assertThatThrownBy(() -> find(weights, 64, 16))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining("a.qweight")
        .hasMessageContaining("quant_method=awq, config.json says \"gptq\"");
  }

  @Test
  void groupsThatTheConfigurationContradictsAreRefused() {
    tensor("a.qweight", SafetensorsDtype.I32, 16, 8);
    tensor("a.qzeros", SafetensorsDtype.I32, 2, 8);
    tensor("a.scales", SafetensorsDtype.F16, 2, 64);
    CheckpointWeights weights = open("\"quant_method\":\"awq\",\"bits\":4,\"group_size\":4");

    assertThatThrownBy(() -> find(weights, 64, 16))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining("a.scales")
        .hasMessageContaining("expected the groups of 16 columns for group_size=[4], got 2");
  }

  @Test
  void gptqWordsWithoutAConfigurationAreRefusedSinceTheirZeroPointsAreAmbiguous() {
    tensor("a.qweight", SafetensorsDtype.I32, 2, 8);
    tensor("a.qzeros", SafetensorsDtype.I32, 1, 1);
    tensor("a.scales", SafetensorsDtype.F16, 1, 8);
    CheckpointWeights weights = open("");

    assertThatThrownBy(() -> find(weights, 8, 16))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining("a.qweight")
        .hasMessageContaining("expected quantization_config");
  }

  @Test
  void missingAndWrongCompanionsAreNamed() {
    tensor("a.weight", SafetensorsDtype.F8_E4M3, 4, 4);
    tensor("b.qweight", SafetensorsDtype.I32, 16, 8);
    tensor("c.weight", SafetensorsDtype.F8_E4M3, 576, 300);
    tensor("c.weight_scale_inv", SafetensorsDtype.F32, 3, 5);
    tensor("d.weight", SafetensorsDtype.F8_E4M3, 4, 4);
    tensor("d.scale", SafetensorsDtype.U8, 1, 1);
    tensor("e.weight", SafetensorsDtype.U8, 4, 4);
    CheckpointWeights weights = open("");

    assertRefused(weights, "a.weight", "a.weight_scale_inv");
    assertRefused(weights, "b.weight", "b.qzeros");
    assertRefused(weights, "c.weight", "weight=[576, 300] scales=[3, 5]");
    assertRefused(weights, "d.weight", "expected one of [F32, F8_E8M0, BF16, F16], got U8");
    assertRefused(weights, "e.weight", "NVFP4 is not supported");
    assertThat(weights.find("f.weight", List.of(), WeightRole.LINEAR)).isNull();
  }

  @Test
  void groupIndexesBeyondTheGroupsAreRefusedWhenReading() {
    tensor("a.qweight", SafetensorsDtype.I32, 2, 8);
    tensor("a.qzeros", SafetensorsDtype.I32, 2, 1);
    tensor("a.scales", SafetensorsDtype.F16, 2, 8);
    tensor("a.g_idx", SafetensorsDtype.I32, 16).putInt(20, 2);

    assertThatThrownBy(() ->
            read("\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":8", WeightFormat.INT4, 8, 16))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining("a.qweight")
        .hasMessageContaining("groupIndex[5]=2");
  }
}
