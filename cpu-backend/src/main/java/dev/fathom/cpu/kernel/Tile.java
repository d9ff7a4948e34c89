package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * Products of decoded rows with several vectors, four by four: sixteen sums in lanes, which fill
 * half the registers of AVX-512.
 *
 * <p>Both sides of a tile are packed, so that a tile reads two streams whatever the number of
 * columns: vector register by vector register, those of the four rows one after the other. Rows of
 * many columns are packed and multiplied a block of columns at a time, since 64 rows of a block fit
 * the second cache; the sums in lanes wait in between and go on where they were, so the bits are
 * those of whole rows.
 *
 * <pre>
 *   scratch   0        16 L     32 L                 + 4 W
 *             +--------+--------+--------------------+---------------------+----------------+
 *             | sums   | zeros  | four vectors       | rows, four by four  | waiting sums   |
 *             +--------+--------+--------------------+---------------------+----------------+
 *   four of either: [len / L][4][L] of a block of len columns, then those behind the body [4][C - body]
 *   W: len + C - body
 * </pre>
 */
final class Tile {

  /** Most rows that are decoded together; they stay in the cache while the vectors pass by. */
  private static final int MOST_ROWS = 64;

  /** Elements of decoded rows that fit the second cache beside everything else. */
  private static final int PANEL = 1 << 17;

  /** Columns of a block: what {@link #MOST_ROWS} rows may have. */
  static final int BLOCK = PANEL / MOST_ROWS;

  /** Vectors whose sums wait while the blocks of some rows pass by; a multiple of 4. */
  static final int WAITING = 64;

  private static final int SUMS = 16 * L;
  private static final int ZEROS = SUMS;
  private static final int VECTORS = ZEROS + SUMS;

  // No format has more than 8 L columns behind its body.
  private static final int WAITING_SUMS = VECTORS + (4 + MOST_ROWS) * (BLOCK + 8 * L);

  private Tile() {}

  /** Returns the rows that are decoded together in blocks of so many columns, a multiple of 4. */
  static int rows(int cols) {
    return Math.max(4, Math.min(MOST_ROWS, PANEL / cols / 4 * 4));
  }

  /** Returns the floats of scratch for matrices of up to so many columns. */
  static int scratchLen(int cols) {
    int whole = VECTORS + 4 * cols + Math.max(PANEL, 4 * cols);
    int waiting = cols > BLOCK ? WAITING_SUMS + WAITING * MOST_ROWS * L : 0;
    return Math.max(whole, waiting);
  }

  /** Makes scratch ready for {@link #add} and {@link #finish}. */
  static void clear(float[] scratch) {
    Arrays.fill(scratch, ZEROS, ZEROS + SUMS, 0f);
  }

  /** Returns where the first register of decoded row r goes; the next one is 4 L further on. */
  static int row(int r, int width) {
    return VECTORS + 4 * width + r / 4 * 4 * width + r % 4 * L;
  }

  /** Returns where the columns of decoded row r behind the body go. */
  static int rowTail(int r, int width, int tail) {
    return VECTORS + 4 * width + r / 4 * 4 * width + 4 * (width - tail) + r % 4 * tail;
  }

  /**
   * Packs columns [from, to) of the body of vectors [first, first + n), times the factors of row r,
   * and where the body ends there, what lies behind it; n is at most 4.
   */
  static void pack(
      RowMatrix matrix, int r, float[] scratch, Vectors in, int first, int n, int from, int to) {
    int body = matrix.body();
    int tail = to == body ? matrix.cols() - body : 0;
    for (int j = 0; j < n; j++) {
      int off = in.offset(first + j);
      matrix.weigh(r, in.data(), off, from, to, scratch, VECTORS + j * L, 4);
      int behind = VECTORS + 4 * (to - from) + j * tail;
      System.arraycopy(in.data(), off + body, scratch, behind, tail);
    }
  }

  /** Returns where the sums of vector i of {@link #WAITING} and its three neighbours wait. */
  private static int waiting(int i) {
    return WAITING_SUMS + i * MOST_ROWS * L;
  }

  /**
   * Adds a block's products of m rows with four packed vectors to the waiting sums.
   *
   * @param i the first of the vectors, a multiple of 4
   * @param len columns of the block
   */
  static void add(float[] scratch, int m, int i, int len, boolean isFirst) {
    for (int r = 0; r < m; r += 4) {
      int sums = waiting(i) + r * 4 * L;
      multiply(scratch, isFirst ? ZEROS : sums, sums, row(r, len), 4 * len);
    }
  }

  /**
   * Computes out[outOff + j * outStride + r] = row r * packed vector j for j in [0, n) and r in [0,
   * m), with the last block of the columns, from column {@code from} on.
   *
   * @param matrix whose rows were decoded
   * @param scratch holds them, the vectors and the waiting sums of earlier blocks
   * @param i the first of the vectors, a multiple of 4
   */
  static void finish(
      RowMatrix matrix,
      float[] scratch,
      int m,
      int i,
      int n,
      int from,
      float[] out,
      int outOff,
      int outStride) {
    int len = matrix.body() - from;
    int width = matrix.cols() - from;
    float share = matrix.sumShare();
    for (int r = 0; r < m; r += 4) {
      // What the last tile lacks is whatever lies there; nobody reads its sums.
      int sums = from == 0 ? ZEROS : waiting(i) + r * 4 * L;
      multiply(scratch, sums, 0, row(r, width), 4 * len);
      Lanes.sums(scratch, 16);
      int rows = Math.min(4, m - r);
      for (int j = 0; j < n; j++) {
        int target = outOff + j * outStride + r;
        for (int k = 0; k < rows; k++) {
          out[target + k] = scratch[4 * k + j] * share;
        }
      }
      if (len < width) {
        addTails(scratch, r, rows, len, width, n, out, outOff + r, outStride);
      }
    }
  }

  /** Adds the columns behind the body. */
  private static void addTails(
      float[] scratch,
      int r,
      int rows,
      int len,
      int width,
      int n,
      float[] out,
      int outOff,
      int outStride) {
    int tail = width - len;
    for (int j = 0; j < n; j++) {
      int x = VECTORS + 4 * len + j * tail;
      for (int k = 0; k < rows; k++) {
        int w = rowTail(r + k, width, tail);
        float sum = 0;
        for (int c = 0; c < tail; c++) {
          sum += scratch[w + c] * scratch[x + c];
        }
        out[outOff + j * outStride + k] += sum;
      }
    }
  }

  // Only forced inlining happens in so long a method: a helper would box its vectors.
  private static void multiply(float[] w, int from, int to, int rows, int len) {
    FloatVector a0 = FloatVector.fromArray(F, w, from);
    FloatVector a1 = FloatVector.fromArray(F, w, from + L);
    FloatVector a2 = FloatVector.fromArray(F, w, from + 2 * L);
    FloatVector a3 = FloatVector.fromArray(F, w, from + 3 * L);
    FloatVector b0 = FloatVector.fromArray(F, w, from + 4 * L);
    FloatVector b1 = FloatVector.fromArray(F, w, from + 5 * L);
    FloatVector b2 = FloatVector.fromArray(F, w, from + 6 * L);
    FloatVector b3 = FloatVector.fromArray(F, w, from + 7 * L);
    FloatVector c0 = FloatVector.fromArray(F, w, from + 8 * L);
    FloatVector c1 = FloatVector.fromArray(F, w, from + 9 * L);
    FloatVector c2 = FloatVector.fromArray(F, w, from + 10 * L);
    FloatVector c3 = FloatVector.fromArray(F, w, from + 11 * L);
    FloatVector d0 = FloatVector.fromArray(F, w, from + 12 * L);
    FloatVector d1 = FloatVector.fromArray(F, w, from + 13 * L);
    FloatVector d2 = FloatVector.fromArray(F, w, from + 14 * L);
    FloatVector d3 = FloatVector.fromArray(F, w, from + 15 * L);
    for (int c = 0; c < len; c += 4 * L) {
      FloatVector wa = FloatVector.fromArray(F, w, rows + c);
      FloatVector wb = FloatVector.fromArray(F, w, rows + c + L);
      FloatVector wc = FloatVector.fromArray(F, w, rows + c + 2 * L);
      FloatVector wd = FloatVector.fromArray(F, w, rows + c + 3 * L);
      FloatVector v = FloatVector.fromArray(F, w, VECTORS + c);
      a0 = wa.fma(v, a0);
      b0 = wb.fma(v, b0);
      c0 = wc.fma(v, c0);
      d0 = wd.fma(v, d0);
      v = FloatVector.fromArray(F, w, VECTORS + c + L);
      a1 = wa.fma(v, a1);
      b1 = wb.fma(v, b1);
      c1 = wc.fma(v, c1);
      d1 = wd.fma(v, d1);
      v = FloatVector.fromArray(F, w, VECTORS + c + 2 * L);
      a2 = wa.fma(v, a2);
      b2 = wb.fma(v, b2);
      c2 = wc.fma(v, c2);
      d2 = wd.fma(v, d2);
      v = FloatVector.fromArray(F, w, VECTORS + c + 3 * L);
      a3 = wa.fma(v, a3);
      b3 = wb.fma(v, b3);
      c3 = wc.fma(v, c3);
      d3 = wd.fma(v, d3);
    }
    a0.intoArray(w, to);
    a1.intoArray(w, to + L);
    a2.intoArray(w, to + 2 * L);
    a3.intoArray(w, to + 3 * L);
    b0.intoArray(w, to + 4 * L);
    b1.intoArray(w, to + 5 * L);
    b2.intoArray(w, to + 6 * L);
    b3.intoArray(w, to + 7 * L);
    c0.intoArray(w, to + 8 * L);
    c1.intoArray(w, to + 9 * L);
    c2.intoArray(w, to + 10 * L);
    c3.intoArray(w, to + 11 * L);
    d0.intoArray(w, to + 12 * L);
    d1.intoArray(w, to + 13 * L);
    d2.intoArray(w, to + 14 * L);
    d3.intoArray(w, to + 15 * L);
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
