package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

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
    float inverse = inverse(in, off, len, eps);
    int i = 0;
    int last = ScalarStart.lastVector(len);
    for (; i <= last; i += L) {
      FloatVector x = FloatVector.fromArray(F, in, off + i);
      x.mul(inverse).mul(FloatVector.fromArray(F, weight, i)).intoArray(out, off + i);
    }
    for (; i < len; i++) {
      out[off + i] = in[off + i] * inverse * weight[i];
    }
  }

  /** Returns 1 / sqrt(mean(in^2) + eps) over in[off, off + len). */
  public static float inverse(float[] in, int off, int len, float eps) {
    return (float) (1.0 / Math.sqrt(squares(in, off, len) / len + eps));
  }

  private static double squares(float[] in, int off, int len) {
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double s3 = 0;
    int i = off;
    for (; i <= off + len - 4; i += 4) {
      s0 += (double) in[i] * in[i];
      s1 += (double) in[i + 1] * in[i + 1];
      s2 += (double) in[i + 2] * in[i + 2];
      s3 += (double) in[i + 3] * in[i + 3];
    }
    for (; i < off + len; i++) {
      s0 += (double) in[i] * in[i];
    }
    return (s0 + s1) + (s2 + s3);
  }
}
