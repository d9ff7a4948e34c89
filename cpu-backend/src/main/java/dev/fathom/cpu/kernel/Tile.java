package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

/**
 * Products of decoded rows with several vectors, four by four: sixteen sums in lanes, which fill
 * half the registers of AVX-512.
 *
 * <p>Both sides of a tile are packed, so that a tile reads two streams whatever the number of
 * columns: vector register by vector register, those of the four rows one after the other.
 *
 * <pre>
 *   scratch   0        16 L                          + 4 C
 *             +--------+-----------------------------+--------------------------+
 *             | sums   | four vectors                | rows, four by four       |
 *             +--------+-----------------------------+--------------------------+
 *   four of either:    [body / L][4][L], then the columns behind the body [4][C - body]
 * </pre>
 */
final class Tile {

  /** Most rows that are decoded together; they stay in the cache while the vectors pass by. */
  private static final int MOST_ROWS = 64;

  /** Elements of decoded rows that fit the second cache beside everything else. */
  private static final int PANEL = 1 << 17;

  private static final int VECTORS = 16 * L;

  private Tile() {}

  /** Returns the rows that are decoded together for n vectors, a multiple of 4. */
  static int rows(int cols, int n) {
    return n <= 4 ? 4 : Math.max(4, Math.min(MOST_ROWS, PANEL / cols / 4 * 4));
  }

  /** Returns the floats of scratch for matrices of up to so many columns. */
  static int scratchLen(int cols) {
    return VECTORS + 4 * cols + Math.max(PANEL, 4 * cols);
  }

  /** Returns where the first register of decoded row r goes; the next one is 4 L further on. */
  static int row(int r, int cols) {
    return VECTORS + 4 * cols + r / 4 * 4 * cols + r % 4 * L;
  }

  /** Returns where the columns behind the body of decoded row r go. */
  static int rowTail(int r, int cols, int body) {
    return VECTORS + 4 * cols + r / 4 * 4 * cols + 4 * body + r % 4 * (cols - body);
  }

  /**
   * Packs vectors [first, first + n), times the factors of row r, for {@link #multiply}; n is at
   * most 4.
   */
  static void pack(RowMatrix matrix, int r, float[] scratch, Vectors in, int first, int n) {
    int body = matrix.body();
    int tail = matrix.cols() - body;
    for (int j = 0; j < n; j++) {
      int off = in.offset(first + j);
      matrix.weigh(r, in.data(), off, scratch, VECTORS + j * L, 4);
      System.arraycopy(in.data(), off + body, scratch, VECTORS + 4 * body + j * tail, tail);
    }
  }

  /**
   * Computes out[outOff + j * outStride + r] = row r * packed vector j for j in [0, n) and r in [0,
   * m).
   *
   * @param matrix whose rows were decoded
   * @param scratch holds them and the vectors
   */
  static void multiply(
      RowMatrix matrix, float[] scratch, int m, int n, float[] out, int outOff, int outStride) {
    int cols = matrix.cols();
    int body = matrix.body();
    float share = matrix.sumShare();
    for (int r = 0; r < m; r += 4) {
      // What the last tile lacks is whatever lies there; nobody reads its sums.
      multiply(scratch, row(r, cols), VECTORS, 4 * body);
      Lanes.sums(scratch, 16);
      int rows = Math.min(4, m - r);
      for (int j = 0; j < n; j++) {
        int target = outOff + j * outStride + r;
        for (int k = 0; k < rows; k++) {
          out[target + k] = scratch[4 * k + j] * share;
        }
      }
      if (body < cols) {
        addTails(matrix, scratch, r, rows, n, out, outOff + r, outStride);
      }
    }
  }

  /** Adds the columns behind the body. */
  private static void addTails(
      RowMatrix matrix,
      float[] scratch,
      int r,
      int rows,
      int n,
      float[] out,
      int outOff,
      int outStride) {
    int cols = matrix.cols();
    int body = matrix.body();
    for (int j = 0; j < n; j++) {
      for (int k = 0; k < rows; k++) {
        float tail = tail(scratch, rowTail(r + k, cols, body), j, cols, body);
        out[outOff + j * outStride + k] += tail;
      }
    }
  }

  private static float tail(float[] scratch, int w, int j, int cols, int body) {
    int len = cols - body;
    int x = VECTORS + 4 * body + j * len;
    float sum = 0;
    for (int c = 0; c < len; c++) {
      sum += scratch[w + c] * scratch[x + c];
    }
    return sum;
  }

  // Only forced inlining happens in so long a method: a helper would box its vectors.
  private static void multiply(float[] w, int rows, int vectors, int len) {
    FloatVector a0 = FloatVector.zero(F), a1 = a0, a2 = a0, a3 = a0;
    FloatVector b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    FloatVector c0 = a0, c1 = a0, c2 = a0, c3 = a0;
    FloatVector d0 = a0, d1 = a0, d2 = a0, d3 = a0;
    for (int c = 0; c < len; c += 4 * L) {
      FloatVector wa = FloatVector.fromArray(F, w, rows + c);
      FloatVector wb = FloatVector.fromArray(F, w, rows + c + L);
      FloatVector wc = FloatVector.fromArray(F, w, rows + c + 2 * L);
      FloatVector wd = FloatVector.fromArray(F, w, rows + c + 3 * L);
      FloatVector v = FloatVector.fromArray(F, w, vectors + c);
      a0 = wa.fma(v, a0);
      b0 = wb.fma(v, b0);
      c0 = wc.fma(v, c0);
      d0 = wd.fma(v, d0);
      v = FloatVector.fromArray(F, w, vectors + c + L);
      a1 = wa.fma(v, a1);
      b1 = wb.fma(v, b1);
      c1 = wc.fma(v, c1);
      d1 = wd.fma(v, d1);
      v = FloatVector.fromArray(F, w, vectors + c + 2 * L);
      a2 = wa.fma(v, a2);
      b2 = wb.fma(v, b2);
      c2 = wc.fma(v, c2);
      d2 = wd.fma(v, d2);
      v = FloatVector.fromArray(F, w, vectors + c + 3 * L);
      a3 = wa.fma(v, a3);
      b3 = wb.fma(v, b3);
      c3 = wc.fma(v, c3);
      d3 = wd.fma(v, d3);
    }
    a0.intoArray(w, 0);
    a1.intoArray(w, L);
    a2.intoArray(w, 2 * L);
    a3.intoArray(w, 3 * L);
    b0.intoArray(w, 4 * L);
    b1.intoArray(w, 5 * L);
    b2.intoArray(w, 6 * L);
    b3.intoArray(w, 7 * L);
    c0.intoArray(w, 8 * L);
    c1.intoArray(w, 9 * L);
    c2.intoArray(w, 10 * L);
    c3.intoArray(w, 11 * L);
    d0.intoArray(w, 12 * L);
    d1.intoArray(w, 13 * L);
    d2.intoArray(w, 14 * L);
    d3.intoArray(w, 15 * L);
  }

  /** Writes the sums in lanes of w[0, body) times x[off..] to lanes[to, to + L). */
  static void lanes(float[] w, int body, float[] x, int off, float[] lanes, int to) {
    FloatVector sum = FloatVector.zero(F);
    for (int c = 0; c < body; c += L) {
      FloatVector v = FloatVector.fromArray(F, w, c);
      sum = v.fma(FloatVector.fromArray(F, x, off + c), sum);
    }
    sum.intoArray(lanes, to);
  }
}
