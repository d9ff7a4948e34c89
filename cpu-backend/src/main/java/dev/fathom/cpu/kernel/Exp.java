package dev.fathom.cpu.kernel;

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
  private static final float LN2_HIGH = 0.693147182f;
  private static final float LN2_LOW = -1.904654e-9f;
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

  static FloatVector of(FloatVector argument) {
    FloatVector x = argument.max(LOWEST).min(HIGHEST);
    FloatVector shifted = x.fma(all(LOG2_E), all(ROUNDER));
    FloatVector n = shifted.sub(ROUNDER);
    FloatVector r = n.fma(all(-LN2_HIGH), x);
    r = n.fma(all(-LN2_LOW), r);
    FloatVector y = r.fma(all(C7), all(C6));
    y = y.fma(r, all(C5));
    y = y.fma(r, all(C4));
    y = y.fma(r, all(C3));
    y = y.fma(r, all(C2));
    y = y.fma(r, all(1f));
    y = y.fma(r, all(1f));
    return y.mul(
        shifted
            .reinterpretAsInts()
            .lanewise(VectorOperators.LSHL, 23)
            .add(ONE_BITS)
            .reinterpretAsFloats());
  }

  private static FloatVector all(float value) {
    return FloatVector.broadcast(Lanes.F, value);
  }

  static float of(float argument) {
    float x = Math.min(Math.max(argument, LOWEST), HIGHEST);
    float shifted = Math.fma(x, LOG2_E, ROUNDER);
    float n = shifted - ROUNDER;
    float r = Math.fma(n, -LN2_HIGH, x);
    r = Math.fma(n, -LN2_LOW, r);
    float y = Math.fma(r, C7, C6);
    y = Math.fma(y, r, C5);
    y = Math.fma(y, r, C4);
    y = Math.fma(y, r, C3);
    y = Math.fma(y, r, C2);
    y = Math.fma(y, r, 1f);
    y = Math.fma(y, r, 1f);
    return y * Float.intBitsToFloat((Float.floatToRawIntBits(shifted) << 23) + ONE_BITS);
  }
}
