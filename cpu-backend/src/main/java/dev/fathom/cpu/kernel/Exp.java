package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The exponential of float32, the same bits in a lane, in a scalar, interpreted and compiled.
 *
 * <p>exp(x) = 2^n * exp(r) with n = round(x / ln 2) and |r| at most ln(2) / 2, exp(r) as its Taylor
 * polynomial of degree 7 (next term below 6e-9); error about 2 ulp. Above 88.37 the result is
 * infinity, below -87.68 it is 0: there n leaves the range of a normal exponent. A NaN stays a NaN.
 */
final class Exp {

  // Beyond these n would leave [-127, 128], whose ends stand for 0 and infinity.
  private static final float LOWEST = -88f;
  private static final float HIGHEST = 89f;
  private static final float LOG2_E = 1.44269504f;
  private static final float LN2_HIGH = 0.693359375f;
  private static final float LN2_LOW = -2.12194440e-4f;
  // Adding it rounds to an integer and leaves that integer in the low mantissa bits.
  private static final float ROUNDER = 0x1.8p23f;
  private static final int ONE_BITS = 127 << 23;

  private static final float C7 = 1f / 5040;
  private static final float C6 = 1f / 720;
  private static final float C5 = 1f / 120;
  private static final float C4 = 1f / 24;
  private static final float C3 = 1f / 6;
  private static final float C2 = 0.5f;

  private Exp() {}

  /** Computes out[outOff + i] = exp(factor * in[off + i] - shift) for len elements. */
  static void run(
      float[] in, int off, float factor, float shift, float[] out, int outOff, int len) {
    int i = 0;
    int last = ScalarStart.lastVector(len);
    for (; i <= last; i += L) {
      FloatVector x = FloatVector.fromArray(F, in, off + i).mul(factor).sub(shift);
      x = x.max(LOWEST).min(HIGHEST);
      FloatVector shifted = x.mul(LOG2_E).add(ROUNDER);
      FloatVector n = shifted.sub(ROUNDER);
      // n has at most 8 bits and LN2_HIGH 10, so the first product is exact.
      FloatVector r = x.sub(n.mul(LN2_HIGH)).sub(n.mul(LN2_LOW));
      FloatVector y = r.mul(C7).add(C6);
      y = y.mul(r).add(C5);
      y = y.mul(r).add(C4);
      y = y.mul(r).add(C3);
      y = y.mul(r).add(C2);
      y = y.mul(r).add(1f);
      y = y.mul(r).add(1f);
      FloatVector power =
          shifted
              .reinterpretAsInts()
              .lanewise(VectorOperators.LSHL, 23)
              .add(ONE_BITS)
              .reinterpretAsFloats();
      y.mul(power).intoArray(out, outOff + i);
    }
    for (; i < len; i++) {
      out[outOff + i] = of(factor * in[off + i] - shift);
    }
  }

  /** Returns exp(argument) with the bits that a lane gives. */
  static float of(float argument) {
    float x = Math.min(Math.max(argument, LOWEST), HIGHEST);
    float shifted = x * LOG2_E + ROUNDER;
    float n = shifted - ROUNDER;
    float r = x - n * LN2_HIGH - n * LN2_LOW;
    float y = r * C7 + C6;
    y = y * r + C5;
    y = y * r + C4;
    y = y * r + C3;
    y = y * r + C2;
    y = y * r + 1f;
    y = y * r + 1f;
    return y * Float.intBitsToFloat((Float.floatToRawIntBits(shifted) << 23) + ONE_BITS);
  }
}
