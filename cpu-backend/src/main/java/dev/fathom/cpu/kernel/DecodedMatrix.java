package dev.fathom.cpu.kernel;

import dev.fathom.quant.WeightMatrix;
import java.util.Arrays;

/**
 * Products with rows that are decoded to float32 first: formats, block sizes and NaN codes that
 * have no kernel of their own. Each row is decoded once a call; a call allocates one row.
 */
final class DecodedMatrix extends Matrix {

  private final WeightMatrix source;

  DecodedMatrix(WeightMatrix source) {
    super(source.rows(), source.cols());
    this.source = source;
  }

  @Override
  public Order order() {
    return Order.NATURAL;
  }

  @Override
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
    float[] row = new float[cols()];
    for (int r = from; r < to; r++) {
      source.decodeRow(r, row, 0);
      for (int i = 0; i < n; i++) {
        out[outOff + i * outStride + r] =
            Dot.of(row, 0, in.data(), in.offset(first + i), cols(), lanes);
      }
    }
  }

  @Override
  float dot(int r, float[] x, int off, float[] lanes) {
    float[] row = new float[cols()];
    source.decodeRow(r, row, 0);
    return Dot.of(row, 0, x, off, cols(), lanes);
  }

  @Override
  int tileRows() {
    return 1;
  }

  @Override
  void tile(int r, float[] x, int x0, int x1, int x2, int x3, float[] lanes) {
    throw new UnsupportedOperationException("multiply decodes row by row");
  }

  @Override
  float tail(int r, float[] x, int off) {
    return 0;
  }

  @Override
  public void multiplyTransposed(int from, int n, float[] x, int off, float[] out, int outOff) {
    float[] row = new float[cols()];
    Arrays.fill(out, outOff, outOff + cols(), 0f);
    for (int i = 0; i < n; i++) {
      source.decodeRow(from + i, row, 0);
      Sum.addScaled(x[off + i], row, 0, out, outOff, cols());
    }
  }
}
