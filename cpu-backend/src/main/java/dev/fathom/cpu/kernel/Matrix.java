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
   */
  public void multiply(
      int from, int to, Vectors in, int first, int n, float[] out, int outOff, int outStride) {
    for (int block = from; block < to; block += ROW_BLOCK) {
      int end = Math.min(to, block + ROW_BLOCK);
      int i = 0;
      for (; i <= n - 4; i += 4) {
        four(block, end, in, first + i, out, outOff + i * outStride, outStride);
      }
      for (; i < n; i++) {
        int x = in.offset(first + i);
        for (int r = block; r < end; r++) {
          out[outOff + i * outStride + r] = dot(r, in.data(), x);
        }
      }
    }
  }

  private void four(
      int from, int to, Vectors in, int first, float[] out, int outOff, int outStride) {
    int x0 = in.offset(first);
    int x1 = in.offset(first + 1);
    int x2 = in.offset(first + 2);
    int x3 = in.offset(first + 3);
    for (int r = from; r < to; r++) {
      int at = outOff + r;
      dot4(r, in.data(), x0, x1, x2, x3, out, at, outStride);
    }
  }

  /** Returns row r times x[off, off + C). */
  abstract float dot(int r, float[] x, int off);

  /**
   * Writes row r times four vectors to out[at], out[at + stride], ...; each with the bits that
   * {@link #dot} gives.
   */
  abstract void dot4(
      int r, float[] x, int x0, int x1, int x2, int x3, float[] out, int at, int stride);

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
