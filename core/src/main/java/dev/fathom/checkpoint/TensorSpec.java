package dev.fathom.checkpoint;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A tensor that is to be written: everything but its place.
 *
 * @param name 1 to 1024 UTF-8 bytes without control characters
 * @param dtype of the elements
 * @param shape row-major dimensions, outermost first; empty for a scalar
 */
public record TensorSpec(String name, SafetensorsDtype dtype, long[] shape) {
  /** Checks what a reader would check. */
  public TensorSpec {
    shape = shape.clone();
    int nameBytes = name.getBytes(StandardCharsets.UTF_8).length;
    if (nameBytes == 0
        || nameBytes > SafetensorsHeader.MAX_NAME_BYTES
        || name.equals("__metadata__")
        || name.chars().anyMatch(Character::isISOControl)) {
      throw new IllegalArgumentException("must be a tensor name: name=" + name);
    }
    if (shape.length > TensorShape.MAX_RANK || TensorShape.numElements(shape) < 0) {
      throw new IllegalArgumentException(
          "must have at most 8 dimensions and 2^48 elements: shape=" + Arrays.toString(shape));
    }
    if (((TensorShape.numElements(shape) * dtype.bits()) & 7) != 0) {
      throw new IllegalArgumentException(
          "must have a whole number of bytes: dtype="
              + dtype
              + (" shape=" + Arrays.toString(shape)));
    }
  }

  /** A tensor of these dimensions. */
  public static TensorSpec of(String name, SafetensorsDtype dtype, long... shape) {
    return new TensorSpec(name, dtype, shape);
  }

  /** A tensor like one that was read. */
  public static TensorSpec of(TensorInfo tensor) {
    return new TensorSpec(tensor.name(), tensor.dtype(), tensor.shape());
  }

  /** A copy of the shape. */
  @Override
  public long[] shape() {
    return shape.clone();
  }

  /** Number of elements, 1 for a scalar. */
  public long numElements() {
    return TensorShape.numElements(shape);
  }

  /** Bytes of the data. */
  public long byteLength() {
    return (numElements() * dtype.bits()) >>> 3;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof TensorSpec o
        && name.equals(o.name)
        && dtype == o.dtype
        && Arrays.equals(shape, o.shape);
  }

  @Override
  public int hashCode() {
    return name.hashCode();
  }

  /** Name, type and shape, "w BF16[2, 3]"; the name is not escaped. */
  @Override
  public String toString() {
    return name + " " + dtype + Arrays.toString(shape);
  }
}
