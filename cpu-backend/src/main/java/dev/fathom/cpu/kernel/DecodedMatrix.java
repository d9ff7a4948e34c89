package dev.fathom.cpu.kernel;

import dev.fathom.quant.RowReader;
import dev.fathom.quant.WeightMatrix;

/**
 * Products with rows that are decoded to float32 first: formats, block sizes and NaN codes that
 * have no kernel of their own. Each row is decoded in memory of its own.
 */
final class DecodedMatrix extends RowMatrix {

  private final RowReader source;

  DecodedMatrix(int rows, int cols, RowReader source) {
    super(rows, cols);
    this.source = source;
  }

  @Override
  public RowReader reader(WeightMatrix stored) {
    return source;
  }

  @Override
  public Order order() {
    return Order.NATURAL;
  }

  @Override
  void four(int r, int step, int last, float[] x, int off, float[] lanes) {
    float[] row = new float[cols()];
    for (int k = 0; k < 4; k++) {
      source.read(Math.min(r + k * step, last), row, 0);
      Tile.lanes(row, body(), x, off, lanes, k * Lanes.L);
    }
  }

  @Override
  float tail(int r, float[] x, int off) {
    float[] row = new float[cols()];
    source.read(r, row, 0);
    float sum = 0;
    for (int c = body(); c < cols(); c++) {
      sum += row[c] * x[off + c];
    }
    return sum;
  }

  @Override
  int body() {
    return cols() - cols() % Lanes.L;
  }

  @Override
  void decode(int r, int from, int to, float[] out, int off) {
    float[] row = new float[cols()];
    source.read(r, row, 0);
    for (int c = from; c < to; c += Lanes.L) {
      System.arraycopy(row, c, out, off + 4 * (c - from), Lanes.L);
    }
  }

  @Override
  void decodeTail(int r, float[] out, int off) {
    float[] row = new float[cols()];
    source.read(r, row, 0);
    System.arraycopy(row, body(), out, off, cols() - body());
  }

  /** A row is read as a whole, so it is decoded as a whole. */
  @Override
  int block() {
    return cols();
  }

  @Override
  public void decodeNatural(int r, float[] out, int off) {
    source.read(r, out, off);
  }
}
