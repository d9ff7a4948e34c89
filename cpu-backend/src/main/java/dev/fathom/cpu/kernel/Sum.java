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

  /**
   * Computes out[off + i] = scale * t for len elements, where t begins as a[at + i] and becomes f *
   * t + g * a[b + i], with b = at + k * stride, f = a[b + len] and g = a[b + len + 1], for k in [1,
   * n), with the bits of {@link #scale} and {@link #addScaled}.
   */
  public static void join(
      float[] a, int at, int stride, int n, float scale, float[] out, int off, int len) {
    int i = 0;
    int last = ScalarStart.lastVector(len);
    for (; i <= last - 7 * L; i += 8 * L) {
      joinEight(a, at, i, stride, n, scale, out, off + i, len);
    }
    for (; i <= last; i += L) {
      FloatVector t = FloatVector.fromArray(F, a, at + i);
      for (int k = 1, b = at + stride; k < n; k++, b += stride) {
        t = t.mul(a[b + len]).add(FloatVector.fromArray(F, a, b + i).mul(a[b + len + 1]));
      }
      t.mul(scale).intoArray(out, off + i);
    }
    for (; i < len; i++) {
      float t = a[at + i];
      for (int k = 1, b = at + stride; k < n; k++, b += stride) {
        t = t * a[b + len] + a[b + i] * a[b + len + 1];
      }
      out[off + i] = t * scale;
    }
  }

  private static void joinEight(
      float[] a, int at, int j, int stride, int n, float scale, float[] out, int off, int len) {
    FloatVector t0 = FloatVector.fromArray(F, a, at + j);
    FloatVector t1 = FloatVector.fromArray(F, a, at + j + L);
    FloatVector t2 = FloatVector.fromArray(F, a, at + j + 2 * L);
    FloatVector t3 = FloatVector.fromArray(F, a, at + j + 3 * L);
    FloatVector t4 = FloatVector.fromArray(F, a, at + j + 4 * L);
    FloatVector t5 = FloatVector.fromArray(F, a, at + j + 5 * L);
    FloatVector t6 = FloatVector.fromArray(F, a, at + j + 6 * L);
    FloatVector t7 = FloatVector.fromArray(F, a, at + j + 7 * L);
    for (int k = 1, b = at + stride; k < n; k++, b += stride) {
      FloatVector f = FloatVector.broadcast(F, a[b + len]);
      FloatVector g = FloatVector.broadcast(F, a[b + len + 1]);
      t0 = t0.mul(f).add(FloatVector.fromArray(F, a, b + j).mul(g));
      t1 = t1.mul(f).add(FloatVector.fromArray(F, a, b + j + L).mul(g));
      t2 = t2.mul(f).add(FloatVector.fromArray(F, a, b + j + 2 * L).mul(g));
      t3 = t3.mul(f).add(FloatVector.fromArray(F, a, b + j + 3 * L).mul(g));
      t4 = t4.mul(f).add(FloatVector.fromArray(F, a, b + j + 4 * L).mul(g));
      t5 = t5.mul(f).add(FloatVector.fromArray(F, a, b + j + 5 * L).mul(g));
      t6 = t6.mul(f).add(FloatVector.fromArray(F, a, b + j + 6 * L).mul(g));
      t7 = t7.mul(f).add(FloatVector.fromArray(F, a, b + j + 7 * L).mul(g));
    }
    FloatVector f = FloatVector.broadcast(F, scale);
    t0.mul(f).intoArray(out, off);
    t1.mul(f).intoArray(out, off + L);
    t2.mul(f).intoArray(out, off + 2 * L);
    t3.mul(f).intoArray(out, off + 3 * L);
    t4.mul(f).intoArray(out, off + 4 * L);
    t5.mul(f).intoArray(out, off + 5 * L);
    t6.mul(f).intoArray(out, off + 6 * L);
    t7.mul(f).intoArray(out, off + 7 * L);
  }
}
