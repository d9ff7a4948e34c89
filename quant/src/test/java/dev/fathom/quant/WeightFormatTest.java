package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class WeightFormatTest {
  @Test
  void eachFormatIsFoundByAllItsNames() {
    assertThat(WeightFormat.fromName("float32")).isEqualTo(WeightFormat.F32);
    assertThat(WeightFormat.fromName("F16")).isEqualTo(WeightFormat.F16);
    assertThat(WeightFormat.fromName("bfloat16")).isEqualTo(WeightFormat.BF16);
    assertThat(WeightFormat.fromName("F8_E4M3")).isEqualTo(WeightFormat.FP8_E4M3);
    assertThat(WeightFormat.fromName("fp8")).isEqualTo(WeightFormat.FP8_E4M3);
    assertThat(WeightFormat.fromName("fp4")).isEqualTo(WeightFormat.MXFP4);
    for (WeightFormat format : WeightFormat.values()) {
      assertThat(WeightFormat.fromName(format.name())).isEqualTo(format);
    }
  }

  @Test
  void anUnknownNameListsTheKnownOnes() {
    assertThatThrownBy(() -> WeightFormat.fromName("int3"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be one of f32, f16, bf16, fp8, int8, int4, mxfp4: weightFormat=int3");
  }

  @Test
  void bytesFollowFromBits() {
    assertThat(WeightFormat.F32.bytes(7)).isEqualTo(28);
    assertThat(WeightFormat.F16.bytes(7)).isEqualTo(14);
    assertThat(WeightFormat.BF16.bytes(1L << 40)).isEqualTo(1L << 41);
    assertThat(WeightFormat.FP8_E4M3.bytes(7)).isEqualTo(7);
    assertThatThrownBy(() -> WeightFormat.F32.bytes(-1)).hasMessage("must be >= 0: elements=-1");
    assertThatThrownBy(() -> WeightFormat.F32.bytes(Long.MAX_VALUE))
        .isInstanceOf(ArithmeticException.class);
  }

  @Test
  void onlyFloatsStandForThemselves() {
    for (WeightFormat format : WeightFormat.values()) {
      boolean isFloat =
          format == WeightFormat.F32 || format == WeightFormat.F16 || format == WeightFormat.BF16;
      assertThat(format.isDense()).isEqualTo(isFloat);
    }
  }

  @Test
  void fourBitElementsFillWholeBytesOrAreRefused() {
    assertThat(WeightFormat.INT4.bytes(6)).isEqualTo(3);
    assertThat(WeightFormat.MXFP4.bytes(2)).isEqualTo(1);
    assertThat(WeightFormat.INT8.bytes(7)).isEqualTo(7);
    assertThatThrownBy(() -> WeightFormat.INT4.bytes(7))
        .hasMessage("must fill whole bytes: elements=7 of 4 bits");
  }
}
