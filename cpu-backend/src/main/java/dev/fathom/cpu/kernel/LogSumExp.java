package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static jdk.incubator.vector.VectorOperators.XOR;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The largest of some logits and the sum of exp(logit - largest), in float64 with a relative error
 * below 10^-12, the same bits in lanes and in scalars.
 *
 * <p>exp(x) = 2^n * exp(r) with n = round(x / ln 2) and |r| at most ln(2) / 2, exp(r) as its Taylor
 * polynomial of degree 10 (next term below 3e-13). What is below e^-80 counts as e^-80.
 */
public final class LogSumExp {

  private static final VectorSpecies<Double> D = F.withLanes(double.class);

  /** As many floats as there are doubles in a vector; of one double there are none. */
  private static final VectorSpecies<Float> HALF =
      VectorSpecies.of(float.class, VectorShape.forBitSize(Math.max(64, D.vectorBitSize() / 2)));

  /** Doubles of a vector. */
  private static final int LANES = D.length();

  private static final int MAGNITUDE = 0x7FFFFFFF;

  private static final double LEAST = -80;
  private static final double LOG2_E = 1.4426950408889634;
  // One rounding of k ln 2 - x: its error of k 2^-54 does not show at 10^-12.
  private static final double LN2 = 0.6931471805599453;
  // Adding it rounds to an integer and leaves that integer in the low mantissa bits.
  private static final double ROUNDER = 0x1.8p52;

  private static final double C10 = 1.0 / 3_628_800;
  private static final double C9 = 1.0 / 362_880;
  private static final double C8 = 1.0 / 40_320;
  private static final double C7 = 1.0 / 5040;
  private static final double C6 = 1.0 / 720;
  private static final double C5 = 1.0 / 120;
  private static final double C4 = 1.0 / 24;
  private static final double C3 = 1.0 / 6;

  private LogSumExp() {}

  /** Returns the doubles that {@link #sum} needs for itself. */
  public static int scratchLen() {
    return LANES;
  }

  /** Returns the largest of n logits, at least 1, or NaN where one is not finite. */
  public static float largest(float[] logits, int off, int n) {
    float most = Float.NEGATIVE_INFINITY;
    float size = 0;
    int i = 0;
    int last = ScalarStart.lastVector(n);
    if (last >= 0) {
      // As ints, whose maximum takes one instruction: magnitudes order as their bits do, and all
      // floats once the lower bits of negative ones are turned over.
      IntVector best = IntVector.broadcast(I, Integer.MIN_VALUE);
      IntVector sizes = IntVector.zero(I);
      for (; i <= last; i += L) {
        IntVector v = FloatVector.fromArray(F, logits, off + i).reinterpretAsInts();
        best = best.max(v.lanewise(VectorOperators.ASHR, 31).and(MAGNITUDE).lanewise(XOR, v));
        sizes = sizes.max(v.and(MAGNITUDE));
      }
      // The order does not matter for a maximum.
      int bits = best.reduceLanes(VectorOperators.MAX);
      most = Float.intBitsToFloat(((bits >> 31) & MAGNITUDE) ^ bits);
      size = Float.intBitsToFloat(sizes.reduceLanes(VectorOperators.MAX));
    }
    for (; i < n; i++) {
      most = Math.max(most, logits[off + i]);
      size = Math.max(size, Math.abs(logits[off + i]));
    }
    return size <= Float.MAX_VALUE ? most : Float.NaN;
  }

  /**
   * Returns the sum of exp(logit - most) over n finite logits.
   *
   * @param scratch {@link #scratchLen} doubles
   */
  public static double sum(float[] logits, int off, int n, float most, double[] scratch) {
    int body = n - n % LANES;
    if (ScalarStart.isOn() || HALF.length() > LANES) {
      for (int j = 0; j < LANES; j++) {
        double sum = 0;
        for (int i = j; i < body; i += LANES) {
          sum += exp((double) logits[off + i] - most);
        }
        scratch[j] = sum;
      }
    } else {
      lanes(logits, off, body, most, scratch);
    }
    double sum = 0;
    for (int j = 0; j < LANES; j++) {
      sum += scratch[j];
    }
    for (int i = body; i < n; i++) {
      sum += exp((double) logits[off + i] - most);
    }
    return sum;
  }

  private static void lanes(float[] logits, int off, int n, float most, double[] out) {
    DoubleVector sum = DoubleVector.zero(D);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = FloatVector.fromArray(HALF, logits, off + i);
      DoubleVector x = (DoubleVector) v.convertShape(VectorOperators.F2D, D, 0);
      x = x.sub(most).max(LEAST);
      DoubleVector shifted = x.fma(LOG2_E, ROUNDER);
      DoubleVector k = shifted.sub(ROUNDER);
      DoubleVector r = k.fma(DoubleVector.broadcast(D, -LN2), x);
      DoubleVector y = r.fma(C10, C9);
      y = y.fma(r, DoubleVector.broadcast(D, C8));
      y = y.fma(r, DoubleVector.broadcast(D, C7));
      y = y.fma(r, DoubleVector.broadcast(D, C6));
      y = y.fma(r, DoubleVector.broadcast(D, C5));
      y = y.fma(r, DoubleVector.broadcast(D, C4));
      y = y.fma(r, DoubleVector.broadcast(D, C3));
      y = y.fma(r, DoubleVector.broadcast(D, 0.5));
      y = y.fma(r, DoubleVector.broadcast(D, 1));
      y = y.fma(r, DoubleVector.broadcast(D, 1));
      LongVector power = shifted.reinterpretAsLongs().lanewise(VectorOperators.LSHL, 52);
      sum = sum.add(y.reinterpretAsLongs().add(power).reinterpretAsDoubles());
    }
    sum.intoArray(out, 0);
  }

  /** Returns exp(argument) with the bits that a lane gives. */
  static double exp(double argument) {
    double x = Math.max(argument, LEAST);
    double shifted = Math.fma(x, LOG2_E, ROUNDER);
    double k = shifted - ROUNDER;
    double r = Math.fma(k, -LN2, x);
    double y = Math.fma(r, C10, C9);
    y = Math.fma(y, r, C8);
    y = Math.fma(y, r, C7);
    y = Math.fma(y, r, C6);
    y = Math.fma(y, r, C5);
    y = Math.fma(y, r, C4);
    y = Math.fma(y, r, C3);
    y = Math.fma(y, r, 0.5);
    y = Math.fma(y, r, 1);
    y = Math.fma(y, r, 1);
    long power = Double.doubleToRawLongBits(shifted) << 52;
    return Double.longBitsToDouble(Double.doubleToRawLongBits(y) + power);
  }
}
