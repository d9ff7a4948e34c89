package dev.fathom.quant;

/**
 * The 4-bit float E2M1 (FP4): a sign bit above one of the magnitudes 0, 0.5, 1, 1.5, 2, 3, 4, 6.
 *
 * <p>A code is {@code sign·8 + k} with k the index of the magnitude. There is neither infinity nor
 * NaN. In a packed byte of a safetensors file the low nibble is the even element:
 *
 * <pre>
 *   bit   7 6 5 4   3 2 1 0
 *       +---------+---------+
 *       | x[2i+1] |  x[2i]  |
 *       +---------+---------+
 * </pre>
 *
 * <p>Source: OCP Microscaling Formats 1.0, section 5.3.3. Threads: stateless.
 */
public final class E2m1 {
  /** The largest value. */
  public static final float MAX = 6f;

  private static final float[] DECODE = {
    0f, 0.5f, 1f, 1.5f, 2f, 3f, 4f, 6f, -0f, -0.5f, -1f, -1.5f, -2f, -3f, -4f, -6f
  };

  private E2m1() {}

  /** The value of the code in the low four bits; the others are ignored. */
  public static float decode(int code) {
    return DECODE[code & 0xF];
  }

  /** The value of the low nibble: the even element of a packed pair. */
  public static float decodeLow(byte pair) {
    return DECODE[pair & 0xF];
  }

  /** The value of the high nibble: the odd element of a packed pair. */
  public static float decodeHigh(byte pair) {
    return DECODE[(pair >>> 4) & 0xF];
  }

  /**
   * The code (0 to 15) nearest to a value: clamped to ±6, ties to the even code (0.25 to 0, 0.75 to
   * 1, 1.25 to 1, 1.75 to 2, 2.5 to 2, 3.5 to 4, 5 to 4). The sign of zero is kept.
   *
   * @throws IllegalArgumentException if the value is NaN, which no code can hold
   */
  public static int encode(float value) {
    if (Float.isNaN(value)) {
      throw new IllegalArgumentException("must not be NaN: value=" + value);
    }
    int sign = Float.floatToRawIntBits(value) >>> 31 << 3;
    return sign | magnitudeCode(Math.abs(value));
  }

  /** Two codes in one byte: {@code even} in the low nibble, {@code odd} in the high one. */
  public static byte pack(int even, int odd) {
    return (byte) ((even & 0xF) | ((odd & 0xF) << 4));
  }

  private static int magnitudeCode(float magnitude) {
    int code = 0;
    while (code < 7 && isAboveMiddle(magnitude, code)) {
      code++;
    }
    return code;
  }

  private static boolean isAboveMiddle(float magnitude, int code) {
    float middle = 0.5f * (DECODE[code] + DECODE[code + 1]);
    boolean tieGoesUp = (code & 1) == 1;
    return magnitude > middle || (tieGoesUp && magnitude == middle);
  }
}
