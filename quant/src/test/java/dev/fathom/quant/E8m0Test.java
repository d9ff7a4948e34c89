package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class E8m0Test {
  @Test
  void eachCodeIsItsPowerOfTwo() {
    for (int code = 0; code < 255; code++) {
      assertThat((double) E8m0.decode((byte) code)).isEqualTo(Math.scalb(1.0, code - 127));
    }
    assertThat(E8m0.decode((byte) 255)).isNaN();
    assertThat(Float.floatToRawIntBits(E8m0.decode((byte) 0))).isEqualTo(0x00400000);
    assertThat(E8m0.decode((byte) 120)).isEqualTo(0x1p-7f);
  }

  @Test
  void powersOfTwoKeepTheirCodeAndTheNextFloatUpTakesTheNextOne() {
    for (int code = 0; code < 254; code++) {
      float power = E8m0.decode((byte) code);
      assertThat(E8m0.encodeCeil(power)).isEqualTo((byte) code);
      assertThat(E8m0.encodeCeil(Math.nextUp(power))).isEqualTo((byte) (code + 1));
    }
    assertThat(E8m0.encodeCeil(0x1p127f)).isEqualTo((byte) 254);
  }

  @Test
  void theEncodedScaleIsTheSmallestPowerOfTwoThatIsNotBelow() {
    SplittableRandom random = new SplittableRandom(8);
    for (int i = 0; i < 10_000; i++) {
      float value = (float) Math.scalb(random.nextDouble(1, 2), random.nextInt(-126, 126));
      float scale = E8m0.decode(E8m0.encodeCeil(value));
      assertThat(scale).isGreaterThanOrEqualTo(value);
      assertThat(scale / 2).isLessThan(value);
    }
    assertThat(E8m0.encodeCeil(0.007278918f)).isEqualTo((byte) 120);
  }

  @Test
  void whatNoCodeCanHoldBecomesNanAndTheSmallestValuesCodeZero() {
    float[] impossible = {
      Float.NaN, -1f, -Float.MIN_VALUE, Math.nextUp(0x1p127f), Float.MAX_VALUE, 1f / 0f, -1f / 0f
    };
    for (float value : impossible) {
      assertThat(E8m0.encodeCeil(value)).as("value %s", value).isEqualTo(E8m0.NAN);
    }
    assertThat(E8m0.encodeCeil(0f)).isZero();
    assertThat(E8m0.encodeCeil(-0f)).isZero();
    assertThat(E8m0.encodeCeil(Float.MIN_VALUE)).isZero();
  }

  @Test
  void aRunOfScalesDecodesToFloatsAtAnyAlignment() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment codes = arena.allocate(256);
      for (int code = 0; code < 256; code++) {
        codes.set(ValueLayout.JAVA_BYTE, code, (byte) code);
      }
      MemorySegment floats = arena.allocate(1 + 4 * 256).asSlice(1);
      E8m0.decode(codes, floats);
      for (int code = 0; code < 256; code++) {
        float decoded =
            floats.getAtIndex(
                ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), code);
        assertThat(Float.floatToIntBits(decoded))
            .isEqualTo(Float.floatToIntBits(E8m0.decode((byte) code)));
      }
      assertThatThrownBy(() -> E8m0.decode(codes, floats.asSlice(4)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must be 1024: floats.bytes=1020");
    }
  }
}
