package dev.fathom.quant;

/**
 * The 16-bit float bfloat16: the upper half of a binary32 (sign, 8 exponent bits, 7 mantissa bits).
 *
 * <p>Threads: stateless.
 */
public final class Bf16 {
  private Bf16() {}

  /** The exact value of a code; infinities, NaN payloads and the sign of zero are kept. */
  public static float decode(short code) {
    return Float.intBitsToFloat(code << 16);
  }

  /**
   * The code nearest to a value, ties to the even mantissa; values beyond the largest finite one
   * round to infinity, a NaN stays a (quiet) NaN of the same sign.
   */
  public static short encode(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      // Rounding could carry a payload out of the mantissa and leave an infinity.
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }

  /** The value rounded to bfloat16 and widened again. */
  public static float round(float value) {
    return decode(encode(value));
  }
}
