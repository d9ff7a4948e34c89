package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The 8-bit scale E8M0: an exponent byte b that stands for 2^(b-127); no sign, no zero, no
 * mantissa.
 *
 * <p>b = 255 is NaN; b = 0 is 2^-127, which a float32 holds as a subnormal. A byte of this format
 * is never an integer and never an E4M3. Source: OCP Microscaling Formats 1.0, section 5.4.
 * Threads: stateless.
 */
public final class E8m0 {
  /** The code of NaN. */
  public static final byte NAN = (byte) 0xFF;

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final int TWO_TO_MINUS_127 = 0x00400000;

  private E8m0() {}

  /** 2^(b-127) for the unsigned byte b, exactly; NaN for 255. */
  public static float decode(byte code) {
    int exponent = code & 0xFF;
    if (exponent == 255) {
      return Float.NaN;
    }
    return Float.intBitsToFloat(exponent == 0 ? TWO_TO_MINUS_127 : exponent << 23);
  }

  /**
   * The code of 2^ceil(log2(value)): the smallest power of two that is not below the value.
   *
   * <p>Zero and everything up to 2^-127 give code 0. What no code can hold gives {@link #NAN}: NaN,
   * negative values, infinity and values above 2^127.
   */
  public static byte encodeCeil(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (value == 0f) {
      return 0;
    }
    if (bits < 0 || bits > 0x7F000000) {
      return NAN;
    }
    if (bits < 0x00800000) {
      return (byte) (bits <= TWO_TO_MINUS_127 ? 0 : 1);
    }
    int roundUp = (bits & 0x007FFFFF) == 0 ? 0 : 1;
    return (byte) ((bits >>> 23) + roundUp);
  }

  /**
   * Decodes a run of scales into float32, little endian, the form that {@link WeightMatrix} wants.
   *
   * @param codes one byte a scale
   * @param floats 4 bytes a scale, at any alignment
   * @throws IllegalArgumentException if {@code floats} is not exactly four times as long as {@code
   *     codes}
   */
  public static void decode(MemorySegment codes, MemorySegment floats) {
    long count = codes.byteSize();
    Checks.equal("floats.bytes", Math.multiplyExact(count, 4L), floats.byteSize());
    for (long i = 0; i < count; i++) {
      floats.set(FLOAT, i * Float.BYTES, decode(codes.get(ValueLayout.JAVA_BYTE, i)));
    }
  }
}
