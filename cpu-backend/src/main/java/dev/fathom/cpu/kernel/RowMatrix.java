package dev.fathom.cpu.kernel;

import java.lang.foreign.SegmentAllocator;

/**
 * A weight matrix whose rows are multiplied one by one, with float32 activations.
 *
 * <p>A product element is a float32 sum in lanes and then over lanes, in an order that depends on C
 * alone: multiplying one vector or many, all rows or some, gives the same bits. One vector meets
 * the stored bytes as they are streamed; for more, some rows are decoded and meet all of them.
 */
public abstract sealed class RowMatrix extends Matrix
    permits F32Matrix, Bf16Matrix, F16Matrix, Fp8Matrix, Mxfp4Matrix, Int8Matrix, DecodedMatrix {

  RowMatrix(int rows, int cols) {
    super(rows, cols);
  }

  @Override
  public final RowMatrix rowMajor(SegmentAllocator allocator) {
    return this;
  }

  @Override
  public final void multiply(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    int cols = cols();
    if (n == 1) {
      multiplyOne(from, to, in.data(), in.offset(first), out, outOff, scratch);
      return;
    }
    int step = Tile.rows(cols);
    for (int r = from; r < to; r += step) {
      int m = Math.min(to - r, step);
      for (int k = 0; k < m; k++) {
        decode(r + k, scratch, Tile.row(k, cols), Tile.rowTail(k, cols, body()));
      }
      Tile.panel(this, scratch, m, in, first, n, out, outOff + r, outStride);
    }
  }

  /** Four rows at a time: one row's sum is a chain that waits for its own additions. */
  private void multiplyOne(
      int from, int to, float[] x, int off, float[] out, int outOff, float[] lanes) {
    boolean hasTail = body() < cols();
    for (int r = from; r < to; r += 4) {
      four(r, to - 1, x, off, lanes);
      Lanes.sums(lanes, 4);
      int m = Math.min(4, to - r);
      for (int k = 0; k < m; k++) {
        out[outOff + r + k] = lanes[k] + (hasTail ? tail(r + k, x, off) : 0f);
      }
    }
  }

  /** Returns the columns that go in whole vectors; the others are added one by one. */
  abstract int body();

  /**
   * Writes the sums in lanes of the bodies of rows r, r + 1, r + 2 and r + 3, or of the last row
   * where there is no such row, with x[off, off + C) to lanes[0, 4 L).
   */
  abstract void four(int r, int last, float[] x, int off, float[] lanes);

  /** Returns the sum of the columns behind the body of row r with x[off, off + C). */
  abstract float tail(int r, float[] x, int off);

  /**
   * Writes the float32 weights of row r that {@link #four} multiplies, in {@link #order()}.
   *
   * @param off where the first vector goes; the next one goes 4 L further on
   * @param tail where the columns behind {@link #body()} go
   */
  abstract void decode(int r, float[] out, int off, int tail);

  /**
   * Computes the transposed product with some rows: out[outOff + c] = sum over i in [0, n) of x[off
   * + i] * W[from + i, c].
   *
   * @param from first row
   * @param n rows
   * @param x factors, in natural order
   * @param off first factor
   * @param out C results in natural order
   * @param outOff first result
   */
  public abstract void multiplyTransposed(
      int from, int n, float[] x, int off, float[] out, int outOff);
}
