package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

/**
 * Dot products of float32 arrays: one sum in lanes, then the fixed tree of {@link Lanes}, then the
 * tail. The order depends on the length alone.
 */
public final class Dot {

  private Dot() {}

  /**
   * Returns the sum over i in [0, len) of a[aOff + i] * b[bOff + i].
   *
   * @param lanes {@link Lanes#scratchLen()} floats of scratch
   */
  public static float of(float[] a, int aOff, float[] b, int bOff, int len, float[] lanes) {
    int body = len - len % L;
    if (ScalarStart.isOn()) {
      return ScalarStart.dot(a, aOff, b, bOff, body, lanes) + tail(a, aOff, b, bOff, body, len);
    }
    FloatVector sum = FloatVector.zero(F);
    for (int c = 0; c < body; c += L) {
      FloatVector w = FloatVector.fromArray(F, a, aOff + c);
      sum = w.fma(FloatVector.fromArray(F, b, bOff + c), sum);
    }
    sum.intoArray(lanes, 0);
    return Lanes.sum(lanes, 0) + tail(a, aOff, b, bOff, body, len);
  }

  private static float tail(float[] a, int aOff, float[] b, int bOff, int begin, int end) {
    float sum = 0;
    for (int i = begin; i < end; i++) {
      sum += a[aOff + i] * b[bOff + i];
    }
    return sum;
  }

  /**
   * Multiplies each row with each vector: out[i * outStride + r] = row r * vector i, with the bits
   * of {@link #of}.
   *
   * @param rows [numRows, len]
   * @param x [numVectors, len] from x[xOff] on
   * @param lanes {@link Lanes#scratchLen()} floats of scratch
   */
  public static void all(
      float[] rows,
      int numRows,
      int len,
      float[] x,
      int xOff,
      int numVectors,
      float[] out,
      int outStride,
      float[] lanes) {
    if (ScalarStart.isOn()) {
      for (int i = 0; i < numVectors; i++) {
        for (int r = 0; r < numRows; r++) {
          out[i * outStride + r] = of(rows, r * len, x, xOff + i * len, len, lanes);
        }
      }
      return;
    }
    int body = len - len % L;
    // Four rows stay in the first cache while the vectors pass by. What a tile lacks is its last
    // row
    // or vector once more; nobody reads those sums.
    for (int r = 0; r < numRows; r += 4) {
      int m = Math.min(4, numRows - r);
      for (int i = 0; i < numVectors; i += 4) {
        int vectors = Math.min(4, numVectors - i);
        int step = vectors == 1 ? 1 : 4;
        if (vectors == 1) {
          column(rows, r * len, m, len, x, xOff + i * len, lanes);
        } else {
          tile(rows, r * len, m, len, x, xOff + i * len, vectors, lanes);
        }
        Lanes.sums(lanes, 4 * step);
        for (int j = 0; j < vectors; j++) {
          int at = (i + j) * outStride + r;
          for (int k = 0; k < m; k++) {
            out[at + k] = lanes[step * k + j];
          }
          for (int k = 0; k < m && body < len; k++) {
            out[at + k] += tail(rows, (r + k) * len, x, xOff + (i + j) * len, body, len);
          }
        }
      }
    }
  }

  private static void column(
      float[] w, int off, int rows, int len, float[] x, int xOff, float[] lanes) {
    int w1 = off + Math.min(1, rows - 1) * len;
    int w2 = off + Math.min(2, rows - 1) * len;
    int w3 = off + (rows - 1) * len;
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    int body = len - len % L;
    for (int c = 0; c < body; c += L) {
      FloatVector v = FloatVector.fromArray(F, x, xOff + c);
      s0 = FloatVector.fromArray(F, w, off + c).fma(v, s0);
      s1 = FloatVector.fromArray(F, w, w1 + c).fma(v, s1);
      s2 = FloatVector.fromArray(F, w, w2 + c).fma(v, s2);
      s3 = FloatVector.fromArray(F, w, w3 + c).fma(v, s3);
    }
    s0.intoArray(lanes, 0);
    s1.intoArray(lanes, L);
    s2.intoArray(lanes, 2 * L);
    s3.intoArray(lanes, 3 * L);
  }

  // Only forced inlining happens in so long a method: a helper would box its vectors.
  private static void tile(
      float[] w, int off, int rows, int len, float[] x, int x0, int vectors, float[] lanes) {
    int w1 = off + Math.min(1, rows - 1) * len;
    int w2 = off + Math.min(2, rows - 1) * len;
    int w3 = off + (rows - 1) * len;
    int x1 = x0 + len;
    int x2 = x0 + Math.min(2, vectors - 1) * len;
    int x3 = x0 + (vectors - 1) * len;
    FloatVector a0 = FloatVector.zero(F), a1 = a0, a2 = a0, a3 = a0;
    FloatVector b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    FloatVector c0 = a0, c1 = a0, c2 = a0, c3 = a0;
    FloatVector d0 = a0, d1 = a0, d2 = a0, d3 = a0;
    int body = len - len % L;
    for (int c = 0; c < body; c += L) {
      FloatVector wa = FloatVector.fromArray(F, w, off + c);
      FloatVector wb = FloatVector.fromArray(F, w, w1 + c);
      FloatVector wc = FloatVector.fromArray(F, w, w2 + c);
      FloatVector wd = FloatVector.fromArray(F, w, w3 + c);
      FloatVector v = FloatVector.fromArray(F, x, x0 + c);
      a0 = wa.fma(v, a0);
      b0 = wb.fma(v, b0);
      c0 = wc.fma(v, c0);
      d0 = wd.fma(v, d0);
      v = FloatVector.fromArray(F, x, x1 + c);
      a1 = wa.fma(v, a1);
      b1 = wb.fma(v, b1);
      c1 = wc.fma(v, c1);
      d1 = wd.fma(v, d1);
      v = FloatVector.fromArray(F, x, x2 + c);
      a2 = wa.fma(v, a2);
      b2 = wb.fma(v, b2);
      c2 = wc.fma(v, c2);
      d2 = wd.fma(v, d2);
      v = FloatVector.fromArray(F, x, x3 + c);
      a3 = wa.fma(v, a3);
      b3 = wb.fma(v, b3);
      c3 = wc.fma(v, c3);
      d3 = wd.fma(v, d3);
    }
    a0.intoArray(lanes, 0);
    a1.intoArray(lanes, L);
    a2.intoArray(lanes, 2 * L);
    a3.intoArray(lanes, 3 * L);
    b0.intoArray(lanes, 4 * L);
    b1.intoArray(lanes, 5 * L);
    b2.intoArray(lanes, 6 * L);
    b3.intoArray(lanes, 7 * L);
    c0.intoArray(lanes, 8 * L);
    c1.intoArray(lanes, 9 * L);
    c2.intoArray(lanes, 10 * L);
    c3.intoArray(lanes, 11 * L);
    d0.intoArray(lanes, 12 * L);
    d1.intoArray(lanes, 13 * L);
    d2.intoArray(lanes, 14 * L);
    d3.intoArray(lanes, 15 * L);
  }
}
