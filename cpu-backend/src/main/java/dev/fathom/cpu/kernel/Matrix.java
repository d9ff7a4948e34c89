package dev.fathom.cpu.kernel;

import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.WeightMatrix;

/**
 * A weight matrix [R, C] as the kernels stream it: the stored bytes in place, one class a format.
 *
 * <p>A product element is a float32 sum in lanes and then over lanes, in an order that depends on C
 * alone: multiplying one vector or many, all rows or some, gives the same bits. One vector meets
 * the stored bytes as they are streamed; for more, some rows are decoded and meet all of them.
 *
 * <p>Immutable; any number of threads may multiply at once.
 */
public abstract sealed class Matrix permits F32Matrix, Bf16Matrix, Fp8Matrix, DecodedMatrix {

  private final int rows;
  private final int cols;

  Matrix(int rows, int cols) {
    this.rows = rows;
    this.cols = cols;
  }

  /** Returns the kernel view of a stored matrix; it reads the stored bytes, which must stay. */
  public static Matrix of(WeightMatrix source) {
    return switch (source.format()) {
      case F32 -> new F32Matrix(source);
      case BF16 -> new Bf16Matrix(source);
      case FP8_E4M3 -> fp8(source);
      default -> new DecodedMatrix(source);
    };
  }

  private static Matrix fp8(WeightMatrix source) {
    BlockScaleLayout layout = source.layout();
    return layout != null && Fp8Matrix.fits(layout) && !Fp8Matrix.hasNan(source)
        ? Fp8Matrix.of(source, layout)
        : new DecodedMatrix(source);
  }

  /** Returns R. */
  public final int rows() {
    return rows;
  }

  /** Returns C. */
  public final int cols() {
    return cols;
  }

  /** Returns the floats of scratch of a thread that multiplies matrices of so many columns. */
  public static int scratchLen(int cols) {
    return Tile.scratchLen(cols);
  }

  /** Returns the order in which {@link #multiply} wants its vectors. */
  public abstract Order order();

  /**
   * Computes out[outOff + i * outStride + r] = row r * vector (first + i) for i in [0, n) and r in
   * [from, to).
   *
   * @param from first row
   * @param to end of the rows
   * @param in vectors of C elements in {@link #order()}
   * @param first first vector
   * @param n vectors
   * @param out result
   * @param outOff where row 0 of the first vector would go
   * @param outStride elements from one vector's results to the next one's
   * @param scratch {@link #scratchLen} floats that belong to this thread; for one vector {@link
   *     Lanes#scratchLen()} are enough
   */
  public void multiply(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    if (n == 1) {
      int x = in.offset(first);
      for (int r = from; r < to; r++) {
        out[outOff + r] = dot(r, in.data(), x, scratch);
      }
      return;
    }
    int step = Tile.rows(cols);
    for (int r = from; r < to; r += step) {
      int m = Math.min(to - r, step);
      for (int k = 0; k < m; k++) {
        decode(r + k, scratch, Tile.row(k, cols), Tile.rowTail(k, cols, body()));
      }
      Tile.panel(scratch, m, cols, body(), in, first, n, out, outOff + r, outStride);
    }
  }

  /** Returns the columns that go in whole vectors; the others are added one by one. */
  abstract int body();

  /** Returns row r times x[off, off + C). */
  abstract float dot(int r, float[] x, int off, float[] lanes);

  /**
   * Writes the float32 weights of row r that {@link #dot} multiplies, in {@link #order()}.
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
