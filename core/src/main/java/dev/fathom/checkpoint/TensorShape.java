package dev.fathom.checkpoint;

/** The limits of shapes, and how their elements are counted. */
final class TensorShape {
  /** Most dimensions. */
  static final int MAX_RANK = 8;

  /** Largest dimension; the product of the dimensions that are not zero has the same limit. */
  static final long MAX_DIM = 1L << 48;

  private TensorShape() {}

  /**
   * Number of elements, 1 for rank 0.
   *
   * @return the product, or -1 if a dimension is negative or above {@link #MAX_DIM}, or if the
   *     product of those that are not zero is above it (so that the order of a zero and an overflow
   *     does not matter)
   */
  static long numElements(long[] shape) {
    long product = 1;
    boolean empty = false;
    for (long dim : shape) {
      if (dim < 0 || dim > MAX_DIM) {
        return -1;
      }
      if (dim == 0) {
        empty = true;
      } else if (product > MAX_DIM / dim) {
        return -1;
      } else {
        product *= dim;
      }
    }
    return empty ? 0 : product;
  }
}
