package dev.fathom.cpu.kernel;

/**
 * The vectors that a matrix is multiplied with: vector i begins at data[base + rows[i] * stride].
 * Arrays are not copied.
 *
 * @param data elements, in the {@link Order} of the matrix
 * @param stride elements from one row to the next
 * @param rows which row each vector is
 * @param base where row 0 begins
 */
public record Vectors(float[] data, int stride, int[] rows, int base) {

  /** Vectors whose row 0 begins at the first element. */
  public Vectors(float[] data, int stride, int[] rows) {
    this(data, stride, rows, 0);
  }

  /** Returns the first element of vector i. */
  int offset(int i) {
    return base + rows[i] * stride;
  }
}
