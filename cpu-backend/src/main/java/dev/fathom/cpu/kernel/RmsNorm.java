package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.D;
import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Root-mean-square norm of one vector; squares are added in float64. */
public final class RmsNorm {

  private RmsNorm() {}

  /**
   * Computes out[off + i] = in[off + i] / sqrt(mean(in^2) + eps) * weight[i] over the length of the
   * weight.
   *
   * @param in input, may be out
   * @param off first element of the vector in both arrays
   * @param weight factor of each element
   * @param eps added to the mean of the squares
   * @param out result
   */
  public static void run(float[] in, int off, float[] weight, float eps, float[] out) {
    int len = weight.length;
    float inverse = (float) (1.0 / Math.sqrt(squares(in, off, len) / len + eps));
    int i = 0;
    for (; i <= len - L; i += L) {
      FloatVector x = FloatVector.fromArray(F, in, off + i);
      x.mul(inverse).mul(FloatVector.fromArray(F, weight, i)).intoArray(out, off + i);
    }
    for (; i < len; i++) {
      out[off + i] = in[off + i] * inverse * weight[i];
    }
  }

  private static double squares(float[] in, int off, int len) {
    DoubleVector low = DoubleVector.zero(D);
    DoubleVector high = DoubleVector.zero(D);
    int i = 0;
    for (; i <= len - L; i += L) {
      FloatVector x = FloatVector.fromArray(F, in, off + i);
      DoubleVector a = (DoubleVector) x.convertShape(VectorOperators.F2D, D, 0);
      DoubleVector b = (DoubleVector) x.convertShape(VectorOperators.F2D, D, 1);
      low = a.fma(a, low);
      high = b.fma(b, high);
    }
    double sum = Lanes.sum(low.add(high));
    for (; i < len; i++) {
      sum += (double) in[off + i] * in[off + i];
    }
    return sum;
  }
}
