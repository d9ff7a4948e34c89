package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class Bf16Test {
  @Test
  void everyCodeThatIsNotNanSurvivesDecodingAndEncoding() {
    int checked = 0;
    for (int code = 0; code < 65536; code++) {
      float value = Bf16.decode((short) code);
      if (!Float.isNaN(value)) {
        assertThat(Bf16.encode(value)).isEqualTo((short) code);
        checked++;
      }
    }
    assertThat(checked).isEqualTo(65536 - 2 * 127);
  }

  @Test
  void theMiddleBetweenNeighboursGoesToTheEvenCodeAndItsSidesToTheNearer() {
    for (int code = 0; code < 0x7F80; code++) {
      int middle = (code << 16) | 0x8000;
      int even = (code & 1) == 0 ? code : code + 1;
      assertThat(encodeBits(middle)).isEqualTo((short) even);
      assertThat(encodeBits(middle - 1)).isEqualTo((short) code);
      assertThat(encodeBits(middle + 1)).isEqualTo((short) (code + 1));
      assertThat(encodeBits(middle | 0x80000000)).isEqualTo((short) (even | 0x8000));
    }
  }

  private static short encodeBits(int bits) {
    return Bf16.encode(Float.intBitsToFloat(bits));
  }

  @Test
  void valuesBeyondTheLargestBecomeInfinite() {
    assertThat(Bf16.round(Float.MAX_VALUE)).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(Bf16.round(-Float.MAX_VALUE)).isEqualTo(Float.NEGATIVE_INFINITY);
  }

  @Test
  void anyNanStaysNanOfItsSign() {
    for (int bits : new int[] {0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF}) {
      short code = encodeBits(bits);
      assertThat(Bf16.decode(code)).as(Integer.toHexString(bits)).isNaN();
      assertThat(code < 0).isEqualTo(bits < 0);
    }
  }
}
