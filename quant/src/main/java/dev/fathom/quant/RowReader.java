package dev.fathom.quant;

/** Gives the rows of a float32 matrix; {@link WeightMatrix#decodeRow} has this form. */
@FunctionalInterface
public interface RowReader {
  /**
   * Writes the elements of row r to {@code out[off, off + cols)}; called once a row, in rising
   * order.
   */
  void read(int r, float[] out, int off);

  /**
   * The rows of a row-major array.
   *
   * @param weights rows · cols elements, not copied
   */
  static RowReader of(float[] weights, int cols) {
    return (r, out, off) -> System.arraycopy(weights, r * cols, out, off, cols);
  }
}
