package dev.fathom.cpu.kernel;

/**
 * The vectors that a matrix is multiplied with: vector i begins at data[rows[i] * stride]. Arrays
 * are not copied.
 *
 * @param data elements, in the {@link Order} of the matrix
 * @param stride elements from one row to the next
 * @param rows which row each vector is
 */
public record Vectors(float[] data, int stride, int[] rows) {

  /** Returns the first element of vector i. */
  int offset(int i) {
    return rows[i] * stride;
  }
}
