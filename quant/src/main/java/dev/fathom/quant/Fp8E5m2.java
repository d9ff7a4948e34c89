package dev.fathom.quant;

/**
 * The 8-bit float E5M2: sign, 5 exponent bits with bias 15, 2 mantissa bits; the upper byte of a
 * binary16.
 *
 * <pre>
 *   bit   7   6 5 4 3 2   1 0
 *       +---+-----------+-----+     e = 0    ±m · 2^-16
 *       | s |     e     |  m  |     e &lt; 31   ±(1 + m/4) · 2^(e-15)
 *       +---+-----------+-----+     e = 31   m = 0 infinity, else NaN
 * </pre>
 *
 * <p>The largest finite value is 57344 (0x7B). Source: Micikevicius et al., "FP8 formats for deep
 * learning", section 3. Threads: stateless.
 */
public final class Fp8E5m2 {
  /** The largest finite value. */
  public static final float MAX = 57344f;

  /** The smallest positive value, 2^-16; the step of the subnormals. */
  public static final float MIN_SUBNORMAL = 0x1p-16f;

  /** The smallest positive normal value, 2^-14. */
  public static final float MIN_NORMAL = 0x1p-14f;

  /** The code that {@link #encode} gives to NaN. */
  public static final byte NAN = 0x7F;

  private static final int DROPPED_BITS = 23 - 2;
  private static final int REBIAS = (127 - 15) << 2;
  // In [2^7, 2^8) neighbouring floats are 2^-16 apart: adding it rounds to the subnormal step.
  private static final float SUBNORMAL_ROUNDER = 0x1p7f;
  private static final int INFINITY_BITS = 0x7F800000;

  private static final float[] DECODE = decodeTable();

  private Fp8E5m2() {}

  /** The exact value of a code; infinities, NaN and the sign of zero are kept. */
  public static float decode(byte code) {
    return DECODE[code & 0xFF];
  }

  /**
   * The code nearest to a value: clamped to ±57344 first (infinities too), then rounded to the
   * nearest code, ties to the even mantissa. The sign of zero is kept; any NaN becomes {@link
   * #NAN}.
   */
  public static byte encode(float value) {
    int bits = Float.floatToRawIntBits(value);
    int sign = (bits >>> 24) & 0x80;
    float magnitude = Math.abs(value);
    int magnitudeBits = bits & 0x7FFFFFFF;
    if (magnitudeBits > INFINITY_BITS) {
      return NAN;
    }
    if (magnitude >= MAX) {
      return (byte) (sign | 0x7B);
    }
    if (magnitude < MIN_NORMAL) {
      int steps = Float.floatToRawIntBits(magnitude + SUBNORMAL_ROUNDER) & 0x7;
      return (byte) (sign | steps);
    }
    int half = (1 << (DROPPED_BITS - 1)) - 1 + ((magnitudeBits >>> DROPPED_BITS) & 1);
    return (byte) (sign | (((magnitudeBits + half) >>> DROPPED_BITS) - REBIAS));
  }

  /**
   * A fresh copy of the 256 decoded values, indexed by the unsigned code; for kernels that look up.
   */
  public static float[] table() {
    return DECODE.clone();
  }

  private static float[] decodeTable() {
    float[] table = new float[256];
    for (int code = 0; code < 256; code++) {
      table[code] = Float.float16ToFloat((short) (code << 8));
    }
    return table;
  }
}
