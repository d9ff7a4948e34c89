package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class E2m1Test {
  @Test
  void tiesGoToTheEvenCode() {
    float[] ties = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5f};
    int[] codes = {0, 2, 2, 4, 4, 6, 6};
    for (int i = 0; i < ties.length; i++) {
      assertThat(E2m1.encode(ties[i])).as("tie %s", ties[i]).isEqualTo(codes[i]);
      assertThat(E2m1.encode(-ties[i])).isEqualTo(codes[i] | 8);
      assertThat(E2m1.encode(Math.nextDown(ties[i]))).isEqualTo(i);
      assertThat(E2m1.encode(Math.nextUp(ties[i]))).isEqualTo(i + 1);
    }
  }

  @Test
  void everyCodeSurvivesAndLargeValuesAreClamped() {
    float[] magnitudes = {0f, 0.5f, 1f, 1.5f, 2f, 3f, 4f, 6f};
    for (int code = 0; code < 16; code++) {
      float expected = code < 8 ? magnitudes[code] : -magnitudes[code - 8];
      assertThat(E2m1.decode(code)).isEqualTo(expected);
      assertThat(E2m1.encode(E2m1.decode(code))).isEqualTo(code);
    }
    assertThat(E2m1.encode(6.01f)).isEqualTo(7);
    assertThat(E2m1.encode(Float.NEGATIVE_INFINITY)).isEqualTo(15);
    assertThatThrownBy(() -> E2m1.encode(Float.NaN))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must not be NaN: value=NaN");
  }

  @Test
  void theLowNibbleIsTheEvenElement() {
    byte[] packed = {0x2A, (byte) 0xF1, 0x07};
    float[][] expected = {{-1f, 1f}, {0.5f, -6f}, {6f, 0f}};
    for (int i = 0; i < packed.length; i++) {
      assertThat(E2m1.decodeLow(packed[i])).isEqualTo(expected[i][0]);
      assertThat(E2m1.decodeHigh(packed[i])).isEqualTo(expected[i][1]);
      int even = E2m1.encode(expected[i][0]);
      int odd = E2m1.encode(expected[i][1]);
      assertThat(E2m1.pack(even, odd)).isEqualTo(packed[i]);
    }
  }

  @Test
  void aBlockWithAPowerOfTwoScaleHasTheKnownCodes() {
    float[] x = Vectors.sines(8, 1.1, 3.3);
    float scale = E8m0.decode(E8m0.encodeCeil(Vectors.maxMagnitude(x) / E2m1.MAX));
    int[] codes = {5, 5, 9, 13, 12, 2, 5, 4};
    float[] dequantized = {3f, 3f, -0.5f, -3f, -2f, 1f, 3f, 2f};
    assertThat(scale).isEqualTo(1f);
    for (int i = 0; i < x.length; i++) {
      assertThat(E2m1.encode(x[i] / scale)).isEqualTo(codes[i]);
      assertThat(E2m1.decode(codes[i]) * scale).isEqualTo(dequantized[i]);
    }
  }
}
