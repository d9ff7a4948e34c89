package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

/** Sums of vectors, element by element. */
public final class Sum {

  private Sum() {}

  /** Computes out[off + i] = a[off + i] + b[off + i] for len elements. */
  public static void run(float[] a, float[] b, float[] out, int off, int len) {
    int i = 0;
    int last = ScalarStart.lastVector(len);
    for (; i <= last; i += L) {
      FloatVector sum = FloatVector.fromArray(F, a, off + i);
      sum.add(FloatVector.fromArray(F, b, off + i)).intoArray(out, off + i);
    }
    for (; i < len; i++) {
      out[off + i] = a[off + i] + b[off + i];
    }
  }

  /** Computes out[outOff + i] += weight * x[off + i] for len elements, rounding the product. */
  public static void addScaled(float weight, float[] x, int off, float[] out, int outOff, int len) {
    int i = 0;
    int last = ScalarStart.lastVector(len);
    for (; i <= last; i += L) {
      FloatVector scaled = FloatVector.fromArray(F, x, off + i).mul(weight);
      FloatVector.fromArray(F, out, outOff + i).add(scaled).intoArray(out, outOff + i);
    }
    for (; i < len; i++) {
      out[outOff + i] += weight * x[off + i];
    }
  }

  /** Computes out[outOff + i] = factor * x[off + i] for len elements. */
  public static void scale(float factor, float[] x, int off, float[] out, int outOff, int len) {
    int i = 0;
    int last = ScalarStart.lastVector(len);
    for (; i <= last; i += L) {
      FloatVector.fromArray(F, x, off + i).mul(factor).intoArray(out, outOff + i);
    }
    for (; i < len; i++) {
      out[outOff + i] = x[off + i] * factor;
    }
  }
}
