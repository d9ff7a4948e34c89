package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Both 8-bit floats against their definitions, each code and each rounding boundary. */
class Fp8Test {
  private interface Decoder {
    float decode(byte code);
  }

  private interface Encoder {
    byte encode(float value);
  }

  @Test
  void e4m3HasThePublishedLandmarks() {
    int[] codes = {0x00, 0x01, 0x07, 0x08, 0x38, 0x7E, 0x80, 0x81, 0xB8, 0xFE};
    float[] values = {
      0f, 0.001953125f, 0.013671875f, 0.015625f, 1f, 448f, -0f, -0.001953125f, -1f, -448f
    };
    for (int i = 0; i < codes.length; i++) {
      assertSameBits(Fp8E4m3.decode((byte) codes[i]), values[i]);
      assertThat(Fp8E4m3.encode(values[i])).isEqualTo((byte) codes[i]);
    }
    assertThat(Fp8E4m3.decode((byte) 0x7F)).isNaN();
    assertThat(Fp8E4m3.decode((byte) 0xFF)).isNaN();
  }

  /** Tells the zeros apart, which == does not. */
  private static void assertSameBits(float actual, float expected) {
    assertThat(Float.floatToIntBits(actual)).isEqualTo(Float.floatToIntBits(expected));
  }

  @Test
  void e5m2HasThePublishedLandmarks() {
    int[] codes = {0x00, 0x01, 0x03, 0x04, 0x3C, 0x7B, 0x80, 0xBC, 0xFB};
    float[] values = {0f, 0x1p-16f, 0x3p-16f, 0x1p-14f, 1f, 57344f, -0f, -1f, -57344f};
    for (int i = 0; i < codes.length; i++) {
      assertSameBits(Fp8E5m2.decode((byte) codes[i]), values[i]);
      assertThat(Fp8E5m2.encode(values[i])).isEqualTo((byte) codes[i]);
    }
    assertThat(Fp8E5m2.decode((byte) 0x7C)).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(Fp8E5m2.decode((byte) 0xFC)).isEqualTo(Float.NEGATIVE_INFINITY);
    assertThat(Fp8E5m2.decode((byte) 0x7D)).isNaN();
  }

  @Test
  void everyFiniteCodeSurvivesDecodingAndEncoding() {
    for (int code = 0; code < 256; code++) {
      byte b = (byte) code;
      if ((code & 0x7F) <= 0x7E) {
        assertThat(Fp8E4m3.encode(Fp8E4m3.decode(b))).isEqualTo(b);
      }
      if ((code & 0x7F) <= 0x7B) {
        assertThat(Fp8E5m2.encode(Fp8E5m2.decode(b))).isEqualTo(b);
      }
    }
  }

  @Test
  void theMiddleBetweenNeighboursGoesToTheEvenCodeAndItsSidesToTheNearer() {
    boundariesRoundRight(0x7E, Fp8E4m3::decode, Fp8E4m3::encode);
    boundariesRoundRight(0x7B, Fp8E5m2::decode, Fp8E5m2::encode);
  }

  private static void boundariesRoundRight(int maxCode, Decoder decoder, Encoder encoder) {
    for (int code = 0; code < maxCode; code++) {
      float low = decoder.decode((byte) code);
      float high = decoder.decode((byte) (code + 1));
      float middle = low + (high - low) / 2;
      int even = (code & 1) == 0 ? code : code + 1;
      assertThat(high).isGreaterThan(low);
      assertThat(encoder.encode(middle)).isEqualTo((byte) even);
      assertThat(encoder.encode(Math.nextDown(middle))).isEqualTo((byte) code);
      assertThat(encoder.encode(Math.nextUp(middle))).isEqualTo((byte) (code + 1));
      assertThat(encoder.encode(-middle)).isEqualTo((byte) (even | 0x80));
      assertThat(encoder.encode(-Math.nextUp(middle))).isEqualTo((byte) ((code + 1) | 0x80));
    }
  }

  @Test
  void randomValuesGoToANearestCode() {
    SplittableRandom random = new SplittableRandom(4);
    for (int i = 0; i < 20_000; i++) {
      float value = (float) Math.scalb(random.nextDouble(-1, 1), random.nextInt(-14, 12));
      assertNearest(value, Fp8E4m3.MAX, 0x7E, Fp8E4m3::decode, Fp8E4m3::encode);
      float wide = (float) Math.scalb(random.nextDouble(-1, 1), random.nextInt(-20, 20));
      assertNearest(wide, Fp8E5m2.MAX, 0x7B, Fp8E5m2::decode, Fp8E5m2::encode);
    }
  }

  private static void assertNearest(
      float value, float max, int maxCode, Decoder decoder, Encoder encoder) {
    double target = Math.clamp(value, -max, max);
    double best = Double.POSITIVE_INFINITY;
    for (int code = 0; code <= maxCode; code++) {
      double magnitude = decoder.decode((byte) code);
      best = Math.min(best, Math.abs(Math.abs(target) - magnitude));
    }
    float decoded = decoder.decode(encoder.encode(value));
    assertThat(Math.abs(decoded - target)).as("value %s", value).isEqualTo(best);
  }

  @Test
  void valuesBeyondTheLargestAreClampedAndNanStaysNan() {
    for (float big :
        new float[] {449f, 465f, 57344f, 1e30f, Float.MAX_VALUE, Float.POSITIVE_INFINITY}) {
      assertThat(Fp8E4m3.encode(big)).isEqualTo((byte) 0x7E);
      assertThat(Fp8E4m3.encode(-big)).isEqualTo((byte) 0xFE);
    }
    assertThat(Fp8E5m2.encode(Float.POSITIVE_INFINITY)).isEqualTo((byte) 0x7B);
    assertThat(Fp8E5m2.encode(-65536f)).isEqualTo((byte) 0xFB);
    float negativeNan = Float.intBitsToFloat(0xFFC00001);
    for (float nan : new float[] {Float.NaN, negativeNan, Float.intBitsToFloat(0x7F800001)}) {
      assertThat(Fp8E4m3.encode(nan)).isEqualTo(Fp8E4m3.NAN);
      assertThat(Fp8E5m2.encode(nan)).isEqualTo(Fp8E5m2.NAN);
    }
    assertThat(Fp8E4m3.encode(-0f)).isEqualTo((byte) 0x80);
    assertThat(Fp8E4m3.encode(-Float.MIN_VALUE)).isEqualTo((byte) 0x80);
    assertThat(Fp8E5m2.encode(-0f)).isEqualTo((byte) 0x80);
  }

  @Test
  void writingToATableChangesNoDecoding() {
    Fp8E4m3.table()[0x38] = 7f;
    Fp8E5m2.table()[0x3C] = 7f;

    assertThat(Fp8E4m3.decode((byte) 0x38)).isEqualTo(1f);
    assertThat(Fp8E4m3.table()[0x38]).isEqualTo(1f);
    assertThat(Fp8E5m2.decode((byte) 0x3C)).isEqualTo(1f);
  }
}
