package dev.fathom.cpu.kernel;

import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.WeightMatrix;

/**
 * A weight matrix [R, C] as the kernels stream it: the stored bytes in place, one class a format.
 *
 * <p>A product element is a float32 sum in lanes and then over lanes, in an order that depends on C
 * alone: multiplying one vector or many, all rows or some, gives the same bits. Vectors are taken
 * four at a time, so that a decoded weight meets four activations.
 *
 * <p>Immutable; any number of threads may multiply at once.
 */
public abstract sealed class Matrix permits F32Matrix, Bf16Matrix, Fp8Matrix, DecodedMatrix {

  /** Rows whose weights stay in the cache while the vectors pass by. */
  private static final int ROW_BLOCK = 16;

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
   * @param lanes {@link Lanes#scratchLen()} floats of scratch that belong to this thread
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
      float[] lanes) {
    for (int block = from; block < to; block += ROW_BLOCK) {
      int end = Math.min(to, block + ROW_BLOCK);
      int i = 0;
      for (; i <= n - 4; i += 4) {
        four(block, end, in, first + i, out, outOff + i * outStride, outStride, lanes);
      }
      for (; i < n; i++) {
        one(block, end, in, first + i, out, outOff + i * outStride, lanes);
      }
    }
  }

  private void one(int from, int to, Vectors in, int i, float[] out, int outOff, float[] lanes) {
    int x = in.offset(i);
    for (int r = from; r < to; r++) {
      out[outOff + r] = dot(r, in.data(), x, lanes);
    }
  }

  private void four(
      int from, int to, Vectors in, int i, float[] out, int outOff, int outStride, float[] lanes) {
    int x0 = in.offset(i);
    int x1 = in.offset(i + 1);
    int x2 = in.offset(i + 2);
    int x3 = in.offset(i + 3);
    int r = from;
    for (; r <= to - tileRows(); r += tileRows()) {
      tile(r, in.data(), x0, x1, x2, x3, lanes);
      for (int j = 0; j < 4; j++) {
        int x = in.offset(i + j);
        reduce(r, in.data(), x, lanes, j, out, outOff + j * outStride);
      }
    }
    for (int j = 0; j < 4; j++) {
      one(r, to, in, i + j, out, outOff + j * outStride, lanes);
    }
  }

  /** Writes the results of a tile for its vector j. */
  private void reduce(int r, float[] in, int x, float[] lanes, int j, float[] out, int outOff) {
    for (int k = 0; k < tileRows(); k++) {
      float body = Lanes.sum(lanes, (k * 4 + j) * Lanes.L);
      out[outOff + r + k] = body + tail(r + k, in, x);
    }
  }

  /** Returns row r times x[off, off + C). */
  abstract float dot(int r, float[] x, int off, float[] lanes);

  /** Returns the rows of a {@link #tile}; they fill the registers of AVX-512 with sums. */
  abstract int tileRows();

  /**
   * Multiplies rows [r, r + tileRows()) with four vectors as far as whole vectors of columns go:
   * the lanes of row r + k and vector j are written to lanes[(4 k + j) L ..], to be added as {@link
   * #dot} does.
   */
  abstract void tile(int r, float[] x, int x0, int x1, int x2, int x3, float[] lanes);

  /** Returns what the columns behind the whole vectors give to row r times x[off..]. */
  abstract float tail(int r, float[] x, int off);

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
