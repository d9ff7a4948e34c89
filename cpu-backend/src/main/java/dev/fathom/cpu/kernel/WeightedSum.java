package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

/**
 * Sums of rows with one weight each, for several weight vectors at once: what attention does with
 * values. Rows are added in rising order to a sum that starts at zero, and that to the target.
 *
 * <p>Holds what it adds between two calls; one thread has one.
 */
public final class WeightedSum {

  private float[] rows = {};
  private int numRows;
  private int rowStride;
  private float[] weights = {};
  private int weightStride;
  private float[] out = {};
  private int outStride;
  private int len;

  /**
   * Sets what is summed.
   *
   * @param data rows, of which the first elements count
   * @param num rows
   * @param stride elements from one row to the next
   * @return this
   */
  public WeightedSum rows(float[] data, int num, int stride) {
    rows = data;
    numRows = num;
    rowStride = stride;
    return this;
  }

  /**
   * Computes target[off + i * targetStride + j] += sum over s of factors[w + i * stride + s] * row
   * s [j] for i in [0, n) and j in [0, elements).
   *
   * @param factors n times as many as there are rows
   * @param w first one
   * @param stride elements from one weight vector to the next
   * @param target results
   * @param off first result
   * @param targetStride elements from the results of one weight vector to those of the next
   * @param elements of a sum
   * @param n weight vectors
   */
  public void add(
      float[] factors,
      int w,
      int stride,
      float[] target,
      int off,
      int targetStride,
      int elements,
      int n) {
    weights = factors;
    weightStride = stride;
    out = target;
    outStride = targetStride;
    len = elements;
    int i = 0;
    for (; i <= n - 4; i += 4) {
      four(w + i * stride, off + i * targetStride);
    }
    for (; i < n; i++) {
      one(w + i * stride, off + i * targetStride);
    }
  }

  private void one(int w, int at) {
    int j = 0;
    // Four vectors of columns at once: one alone is a chain that waits for its own additions.
    for (; j <= len - 4 * L; j += 4 * L) {
      oneOfFour(w, j, at + j);
    }
    float[] data = rows;
    float[] sums = out;
    for (; j <= len - L; j += L) {
      FloatVector sum = FloatVector.zero(F);
      for (int s = 0; s < numRows; s++) {
        FloatVector row = FloatVector.fromArray(F, data, s * rowStride + j);
        sum = row.fma(FloatVector.broadcast(F, weights[w + s]), sum);
      }
      FloatVector.fromArray(F, sums, at + j).add(sum).intoArray(sums, at + j);
    }
    tail(w, at, j);
  }

  private void oneOfFour(int w, int column, int o) {
    float[] data = rows;
    float[] factors = weights;
    float[] sums = out;
    int step = rowStride;
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    for (int s = 0, r = column; s < numRows; s++, r += step) {
      FloatVector f = FloatVector.broadcast(F, factors[w + s]);
      s0 = FloatVector.fromArray(F, data, r).fma(f, s0);
      s1 = FloatVector.fromArray(F, data, r + L).fma(f, s1);
      s2 = FloatVector.fromArray(F, data, r + 2 * L).fma(f, s2);
      s3 = FloatVector.fromArray(F, data, r + 3 * L).fma(f, s3);
    }
    FloatVector.fromArray(F, sums, o).add(s0).intoArray(sums, o);
    FloatVector.fromArray(F, sums, o + L).add(s1).intoArray(sums, o + L);
    FloatVector.fromArray(F, sums, o + 2 * L).add(s2).intoArray(sums, o + 2 * L);
    FloatVector.fromArray(F, sums, o + 3 * L).add(s3).intoArray(sums, o + 3 * L);
  }

  private void tail(int w, int at, int begin) {
    for (int j = begin; j < len; j++) {
      float sum = 0;
      for (int s = 0; s < numRows; s++) {
        sum += weights[w + s] * rows[s * rowStride + j];
      }
      out[at + j] += sum;
    }
  }

  private void four(int w, int at) {
    int j = 0;
    for (; j <= len - 2 * L; j += 2 * L) {
      fourOfTwo(w, j, at + j);
    }
    for (; j <= len - L; j += L) {
      fourOfOne(w, j, at + j);
    }
    for (int i = 0; i < 4; i++) {
      tail(w + i * weightStride, at + i * outStride, j);
    }
  }

  private void fourOfOne(int w, int column, int to) {
    float[] data = rows;
    float[] factors = weights;
    int w1 = w + weightStride;
    int w2 = w1 + weightStride;
    int w3 = w2 + weightStride;
    FloatVector a0 = FloatVector.zero(F), b0 = a0, c0 = a0, d0 = a0;
    for (int s = 0, r = column; s < numRows; s++, r += rowStride) {
      FloatVector row = FloatVector.fromArray(F, data, r);
      a0 = row.fma(FloatVector.broadcast(F, factors[w + s]), a0);
      b0 = row.fma(FloatVector.broadcast(F, factors[w1 + s]), b0);
      c0 = row.fma(FloatVector.broadcast(F, factors[w2 + s]), c0);
      d0 = row.fma(FloatVector.broadcast(F, factors[w3 + s]), d0);
    }
    float[] sums = out;
    int o = to;
    FloatVector.fromArray(F, sums, o).add(a0).intoArray(sums, o);
    o += outStride;
    FloatVector.fromArray(F, sums, o).add(b0).intoArray(sums, o);
    o += outStride;
    FloatVector.fromArray(F, sums, o).add(c0).intoArray(sums, o);
    o += outStride;
    FloatVector.fromArray(F, sums, o).add(d0).intoArray(sums, o);
  }

  private void fourOfTwo(int w0, int column, int to) {
    float[] data = rows;
    float[] factors = weights;
    int step = rowStride;
    int w1 = w0 + weightStride;
    int w2 = w1 + weightStride;
    int w3 = w2 + weightStride;
    FloatVector a0 = FloatVector.zero(F), a1 = a0, b0 = a0, b1 = a0;
    FloatVector c0 = a0, c1 = a0, d0 = a0, d1 = a0;
    for (int s = 0, at = column; s < numRows; s++, at += step) {
      FloatVector r0 = FloatVector.fromArray(F, data, at);
      FloatVector r1 = FloatVector.fromArray(F, data, at + L);
      FloatVector f = FloatVector.broadcast(F, factors[w0 + s]);
      a0 = r0.fma(f, a0);
      a1 = r1.fma(f, a1);
      f = FloatVector.broadcast(F, factors[w1 + s]);
      b0 = r0.fma(f, b0);
      b1 = r1.fma(f, b1);
      f = FloatVector.broadcast(F, factors[w2 + s]);
      c0 = r0.fma(f, c0);
      c1 = r1.fma(f, c1);
      f = FloatVector.broadcast(F, factors[w3 + s]);
      d0 = r0.fma(f, d0);
      d1 = r1.fma(f, d1);
    }
    float[] sums = out;
    int o = to;
    FloatVector.fromArray(F, sums, o).add(a0).intoArray(sums, o);
    FloatVector.fromArray(F, sums, o + L).add(a1).intoArray(sums, o + L);
    o += outStride;
    FloatVector.fromArray(F, sums, o).add(b0).intoArray(sums, o);
    FloatVector.fromArray(F, sums, o + L).add(b1).intoArray(sums, o + L);
    o += outStride;
    FloatVector.fromArray(F, sums, o).add(c0).intoArray(sums, o);
    FloatVector.fromArray(F, sums, o + L).add(c1).intoArray(sums, o + L);
    o += outStride;
    FloatVector.fromArray(F, sums, o).add(d0).intoArray(sums, o);
    FloatVector.fromArray(F, sums, o + L).add(d1).intoArray(sums, o + L);
  }
}
