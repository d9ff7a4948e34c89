package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

/**
 * Sums of rows with one weight each, for several weight vectors at once: what attention does with
 * values. Rows are added in rising order to a sum that starts at zero, and that to the target.
 *
 * <p>Immutable; any thread.
 */
public final class WeightedSum {

  private final int weightStride;
  private final int weightStep;
  private final int rowStride;
  private final int outStride;
  private final int len;

  /**
   * Creates sums of one shape, whose weight vectors lie one after the other.
   *
   * @param weightStride elements from one weight vector to the next
   * @param rowStride elements from one row to the next
   * @param outStride elements from the results of one weight vector to those of the next
   * @param len elements of a row that count, and of a result
   */
  public WeightedSum(int weightStride, int rowStride, int outStride, int len) {
    this(weightStride, 1, rowStride, outStride, len);
  }

  /**
   * Creates sums of one shape.
   *
   * @param weightStride elements from one weight vector to the next
   * @param weightStep elements from one weight of a vector to the next
   * @param rowStride elements from one row to the next
   * @param outStride elements from the results of one weight vector to those of the next
   * @param len elements of a row that count, and of a result
   */
  public WeightedSum(int weightStride, int weightStep, int rowStride, int outStride, int len) {
    this.weightStride = weightStride;
    this.weightStep = weightStep;
    this.rowStride = rowStride;
    this.outStride = outStride;
    this.len = len;
  }

  /** Returns the elements of a result. */
  public int len() {
    return len;
  }

  /**
   * Computes out[off + i * outStride + j] += sum over s in [0, numRows) of weights[w + i *
   * weightStride + s * weightStep] * rows[s * rowStride + j] for i in [0, n) and j in [0, len).
   *
   * @param weights n vectors of at least numRows
   * @param w first weight
   * @param rows numRows rows
   * @param numRows rows
   * @param out results
   * @param off first result
   * @param n weight vectors
   */
  public void add(float[] weights, int w, float[] rows, int numRows, float[] out, int off, int n) {
    if (ScalarStart.isOn()) {
      addScalar(weights, w, rows, numRows, out, off, n);
      return;
    }
    int fours = n - n % 4;
    int body = fours == 0 ? 0 : len - len % L;
    int j = 0;
    // The weights pass by columns of the rows, which stay in the first cache. Sixteen sums need the
    // registers of AVX-512.
    for (; L >= 16 && j <= body - 4 * L; j += 4 * L) {
      for (int i = 0; i < fours; i += 4) {
        fourOfFour(weights, w + i * weightStride, rows, numRows, j, out, off + i * outStride + j);
      }
    }
    for (; j <= body - 2 * L; j += 2 * L) {
      for (int i = 0; i < fours; i += 4) {
        fourOfTwo(weights, w + i * weightStride, rows, numRows, j, out, off + i * outStride + j);
      }
    }
    for (; j < body; j += L) {
      for (int i = 0; i < fours; i += 4) {
        fourOfOne(weights, w + i * weightStride, rows, numRows, j, out, off + i * outStride + j);
      }
    }
    for (int i = 0; i < fours; i++) {
      tail(weights, w + i * weightStride, rows, numRows, out, off + i * outStride, body);
    }
    for (int i = fours; i < n; i++) {
      one(weights, w + i * weightStride, rows, numRows, out, off + i * outStride);
    }
  }

  private void addScalar(
      float[] weights, int w0, float[] rows, int numRows, float[] out, int off, int n) {
    int body = len - len % L;
    for (int i = 0; i < n; i++) {
      int w = w0 + i * weightStride;
      int at = off + i * outStride;
      for (int j = 0; j < body; j++) {
        float sum = 0;
        for (int s = 0; s < numRows; s++) {
          sum = Math.fma(rows[s * rowStride + j], weights[w + s * weightStep], sum);
        }
        out[at + j] += sum;
      }
      tail(weights, w, rows, numRows, out, at, body);
    }
  }

  private void one(float[] weights, int w, float[] rows, int numRows, float[] out, int at) {
    int j = 0;
    // Four vectors of columns at once: one alone is a chain that waits for its own additions.
    for (; j <= len - 4 * L; j += 4 * L) {
      oneOfFour(weights, w, rows, numRows, j, out, at + j);
    }
    for (; j <= len - L; j += L) {
      FloatVector sum = FloatVector.zero(F);
      for (int s = 0; s < numRows; s++) {
        FloatVector row = FloatVector.fromArray(F, rows, s * rowStride + j);
        sum = row.fma(FloatVector.broadcast(F, weights[w + s * weightStep]), sum);
      }
      FloatVector.fromArray(F, out, at + j).add(sum).intoArray(out, at + j);
    }
    tail(weights, w, rows, numRows, out, at, j);
  }

  private void oneOfFour(
      float[] weights, int w, float[] rows, int numRows, int column, float[] out, int o) {
    int step = rowStride;
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    for (int s = 0, r = column, v = w; s < numRows; s++, r += step, v += weightStep) {
      FloatVector f = FloatVector.broadcast(F, weights[v]);
      s0 = FloatVector.fromArray(F, rows, r).fma(f, s0);
      s1 = FloatVector.fromArray(F, rows, r + L).fma(f, s1);
      s2 = FloatVector.fromArray(F, rows, r + 2 * L).fma(f, s2);
      s3 = FloatVector.fromArray(F, rows, r + 3 * L).fma(f, s3);
    }
    FloatVector.fromArray(F, out, o).add(s0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(s1).intoArray(out, o + L);
    FloatVector.fromArray(F, out, o + 2 * L).add(s2).intoArray(out, o + 2 * L);
    FloatVector.fromArray(F, out, o + 3 * L).add(s3).intoArray(out, o + 3 * L);
  }

  private void tail(
      float[] weights, int w, float[] rows, int numRows, float[] out, int at, int begin) {
    for (int j = begin; j < len; j++) {
      float sum = 0;
      for (int s = 0; s < numRows; s++) {
        sum += weights[w + s * weightStep] * rows[s * rowStride + j];
      }
      out[at + j] += sum;
    }
  }

  private void fourOfOne(
      float[] weights, int w, float[] rows, int numRows, int column, float[] out, int to) {
    int w1 = w + weightStride;
    int w2 = w1 + weightStride;
    int w3 = w2 + weightStride;
    FloatVector a0 = FloatVector.zero(F), b0 = a0, c0 = a0, d0 = a0;
    for (int s = 0, r = column, v = 0; s < numRows; s++, r += rowStride, v += weightStep) {
      FloatVector row = FloatVector.fromArray(F, rows, r);
      a0 = row.fma(FloatVector.broadcast(F, weights[w + v]), a0);
      b0 = row.fma(FloatVector.broadcast(F, weights[w1 + v]), b0);
      c0 = row.fma(FloatVector.broadcast(F, weights[w2 + v]), c0);
      d0 = row.fma(FloatVector.broadcast(F, weights[w3 + v]), d0);
    }
    int o = to;
    FloatVector.fromArray(F, out, o).add(a0).intoArray(out, o);
    o += outStride;
    FloatVector.fromArray(F, out, o).add(b0).intoArray(out, o);
    o += outStride;
    FloatVector.fromArray(F, out, o).add(c0).intoArray(out, o);
    o += outStride;
    FloatVector.fromArray(F, out, o).add(d0).intoArray(out, o);
  }

  private void fourOfTwo(
      float[] weights, int w0, float[] rows, int numRows, int column, float[] out, int to) {
    int step = rowStride;
    int w1 = w0 + weightStride;
    int w2 = w1 + weightStride;
    int w3 = w2 + weightStride;
    FloatVector a0 = FloatVector.zero(F), a1 = a0, b0 = a0, b1 = a0;
    FloatVector c0 = a0, c1 = a0, d0 = a0, d1 = a0;
    for (int s = 0, at = column, v = 0; s < numRows; s++, at += step, v += weightStep) {
      FloatVector r0 = FloatVector.fromArray(F, rows, at);
      FloatVector r1 = FloatVector.fromArray(F, rows, at + L);
      FloatVector f = FloatVector.broadcast(F, weights[w0 + v]);
      a0 = r0.fma(f, a0);
      a1 = r1.fma(f, a1);
      f = FloatVector.broadcast(F, weights[w1 + v]);
      b0 = r0.fma(f, b0);
      b1 = r1.fma(f, b1);
      f = FloatVector.broadcast(F, weights[w2 + v]);
      c0 = r0.fma(f, c0);
      c1 = r1.fma(f, c1);
      f = FloatVector.broadcast(F, weights[w3 + v]);
      d0 = r0.fma(f, d0);
      d1 = r1.fma(f, d1);
    }
    int o = to;
    FloatVector.fromArray(F, out, o).add(a0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(a1).intoArray(out, o + L);
    o += outStride;
    FloatVector.fromArray(F, out, o).add(b0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(b1).intoArray(out, o + L);
    o += outStride;
    FloatVector.fromArray(F, out, o).add(c0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(c1).intoArray(out, o + L);
    o += outStride;
    FloatVector.fromArray(F, out, o).add(d0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(d1).intoArray(out, o + L);
  }

  private void fourOfFour(
      float[] weights, int w0, float[] rows, int numRows, int column, float[] out, int to) {
    int step = rowStride;
    int w1 = w0 + weightStride;
    int w2 = w1 + weightStride;
    int w3 = w2 + weightStride;
    FloatVector a0 = FloatVector.zero(F), a1 = a0, a2 = a0, a3 = a0;
    FloatVector b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    FloatVector c0 = a0, c1 = a0, c2 = a0, c3 = a0;
    FloatVector d0 = a0, d1 = a0, d2 = a0, d3 = a0;
    for (int s = 0, at = column, v = 0; s < numRows; s++, at += step, v += weightStep) {
      FloatVector r0 = FloatVector.fromArray(F, rows, at);
      FloatVector r1 = FloatVector.fromArray(F, rows, at + L);
      FloatVector r2 = FloatVector.fromArray(F, rows, at + 2 * L);
      FloatVector r3 = FloatVector.fromArray(F, rows, at + 3 * L);
      FloatVector f = FloatVector.broadcast(F, weights[w0 + v]);
      a0 = r0.fma(f, a0);
      a1 = r1.fma(f, a1);
      a2 = r2.fma(f, a2);
      a3 = r3.fma(f, a3);
      f = FloatVector.broadcast(F, weights[w1 + v]);
      b0 = r0.fma(f, b0);
      b1 = r1.fma(f, b1);
      b2 = r2.fma(f, b2);
      b3 = r3.fma(f, b3);
      f = FloatVector.broadcast(F, weights[w2 + v]);
      c0 = r0.fma(f, c0);
      c1 = r1.fma(f, c1);
      c2 = r2.fma(f, c2);
      c3 = r3.fma(f, c3);
      f = FloatVector.broadcast(F, weights[w3 + v]);
      d0 = r0.fma(f, d0);
      d1 = r1.fma(f, d1);
      d2 = r2.fma(f, d2);
      d3 = r3.fma(f, d3);
    }
    int o = to;
    FloatVector.fromArray(F, out, o).add(a0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(a1).intoArray(out, o + L);
    FloatVector.fromArray(F, out, o + 2 * L).add(a2).intoArray(out, o + 2 * L);
    FloatVector.fromArray(F, out, o + 3 * L).add(a3).intoArray(out, o + 3 * L);
    o += outStride;
    FloatVector.fromArray(F, out, o).add(b0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(b1).intoArray(out, o + L);
    FloatVector.fromArray(F, out, o + 2 * L).add(b2).intoArray(out, o + 2 * L);
    FloatVector.fromArray(F, out, o + 3 * L).add(b3).intoArray(out, o + 3 * L);
    o += outStride;
    FloatVector.fromArray(F, out, o).add(c0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(c1).intoArray(out, o + L);
    FloatVector.fromArray(F, out, o + 2 * L).add(c2).intoArray(out, o + 2 * L);
    FloatVector.fromArray(F, out, o + 3 * L).add(c3).intoArray(out, o + 3 * L);
    o += outStride;
    FloatVector.fromArray(F, out, o).add(d0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(d1).intoArray(out, o + L);
    FloatVector.fromArray(F, out, o + 2 * L).add(d2).intoArray(out, o + 2 * L);
    FloatVector.fromArray(F, out, o + 3 * L).add(d3).intoArray(out, o + 3 * L);
  }
}
