package dev.fathom.quant;

/**
 * The 8-bit float E4M3FN: sign, 4 exponent bits with bias 7, 3 mantissa bits.
 *
 * <pre>
 *   bit   7   6 5 4 3   2 1 0
 *       +---+---------+-------+     e = 0       ±m · 2^-9
 *       | s |    e    |   m   |     e > 0       ±(1 + m/8) · 2^(e-7)
 *       +---+---------+-------+     0x7F, 0xFF  NaN; there is no infinity
 * </pre>
 *
 * <p>The largest finite value is 448 (0x7E). Source: Micikevicius et al., "FP8 formats for deep
 * learning", section 3. Threads: stateless.
 */
public final class Fp8E4m3 {
  /** The largest finite value. */
  public static final float MAX = 448f;

  /** The smallest positive value, 2^-9; the step of the subnormals. */
  public static final float MIN_SUBNORMAL = 0x1p-9f;

  /** The smallest positive normal value, 2^-6. */
  public static final float MIN_NORMAL = 0x1p-6f;

  /** The code that {@link #encode} gives to NaN. */
  public static final byte NAN = 0x7F;

  private static final int DROPPED_BITS = 23 - 3;
  private static final int REBIAS = (127 - 7) << 3;
  // In [2^14, 2^15) neighbouring floats are 2^-9 apart: adding it rounds to the subnormal step.
  private static final float SUBNORMAL_ROUNDER = 0x1p14f;
  private static final int INFINITY_BITS = 0x7F800000;

  private static final float[] DECODE = decodeTable();

  private Fp8E4m3() {}

  /** The exact value of a code; NaN for 0x7F and 0xFF, and the sign of zero is kept. */
  public static float decode(byte code) {
    return DECODE[code & 0xFF];
  }

  /**
   * The code nearest to a value: clamped to ±448 first (infinities too), then rounded to the
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
      return (byte) (sign | 0x7E);
    }
    if (magnitude < MIN_NORMAL) {
      int steps = Float.floatToRawIntBits(magnitude + SUBNORMAL_ROUNDER) & 0xF;
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
      int exponent = (code >>> 3) & 0xF;
      int mantissa = code & 7;
      float magnitude =
          exponent == 0
              ? mantissa * MIN_SUBNORMAL
              : Float.intBitsToFloat(((exponent + 120) << 23) | (mantissa << DROPPED_BITS));
      boolean isNan = (code & 0x7F) == 0x7F;
      float signed = (code & 0x80) == 0 ? magnitude : -magnitude;
      table[code] = isNan ? Float.NaN : signed;
    }
    return table;
  }
}
