package dev.fathom.checkpoint;

import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Where a tensor lies and what it is; checked against its file when the header was read.
 *
 * @param name as the header spells it; never use it as a path
 * @param dtype of the elements, little-endian
 * @param shape row-major dimensions, outermost first; empty for a scalar
 * @param file that holds the bytes
 * @param offset of the first byte from the start of the file; of any alignment
 * @param byteLength of the data, equal to elements times bits / 8; may be 0
 */
public record TensorInfo(
    String name, SafetensorsDtype dtype, long[] shape, Path file, long offset, long byteLength) {

  /** Copies the shape. */
  public TensorInfo {
    shape = shape.clone();
  }

  /** A copy of the shape. */
  @Override
  public long[] shape() {
    return shape.clone();
  }

  /** Number of dimensions, 0 for a scalar. */
  public int rank() {
    return shape.length;
  }

  /** Size of dimension {@code axis}, from 0. */
  public long dim(int axis) {
    return shape[axis];
  }

  /** Number of elements, 1 for a scalar. */
  public long numElements() {
    return TensorShape.numElements(shape);
  }

  /** Whether the tensor has exactly these dimensions. */
  public boolean hasShape(long... dims) {
    return Arrays.equals(shape, dims);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof TensorInfo o
        && name.equals(o.name)
        && dtype == o.dtype
        && Arrays.equals(shape, o.shape)
        && file.equals(o.file)
        && offset == o.offset
        && byteLength == o.byteLength;
  }

  @Override
  public int hashCode() {
    return name.hashCode() * 31 + file.hashCode();
  }

  /** Name, type and shape, "w BF16[2, 3]"; the name is not escaped. */
  @Override
  public String toString() {
    return name + " " + dtype + Arrays.toString(shape);
  }
}
