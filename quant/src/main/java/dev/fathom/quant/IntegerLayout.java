package dev.fathom.quant;

import java.util.List;

/**
 * Where the bytes of a matrix of 4-bit or 8-bit integers lie, with one scale and one zero point for
 * each row and group of columns.
 *
 * <p>All such formats mean {@code W[r, c] = (q[r, c] - z[r, g]) · s[r, g]}, computed in float32,
 * with g the group of column c; they differ in where q, z and s lie, and in the offset of the
 * stored integers. The difference q - z is the same whatever the offset, so this package speaks of
 * unsigned codes q in [0, 2^bits) and zero points in the same range; a symmetric matrix has the
 * zero point 2^(bits-1) everywhere.
 *
 * <p>The group of a column is {@code c / groupSize}, unless the checkpoint has a group index
 * (activation order), one I32 a column. The last group may be partial where the format allows it.
 */
public sealed interface IntegerLayout extends WeightLayout
    permits Int4Layout, Int8Layout, AwqLayout, GptqLayout, PackedIntLayout {
  /** Bits of one stored integer: 4 or 8. */
  int bits();

  /** Columns of a whole group. */
  int groupSize();

  /** How a scale is stored: F32, F16 or BF16, little endian. */
  WeightFormat scaleFormat();

  /** Dimensions of the tensor of the elements, as the format publishes it. */
  List<Integer> weightShape();

  /** Dimensions of the tensor of the scales. */
  List<Integer> scaleShape();

  /** Dimensions of the tensor of the zero points. */
  List<Integer> zeroShape();

  /** Bytes of the zero points. */
  long zeroBytes();

  /** Groups of a row: ceil(cols / groupSize). */
  default int groups() {
    return Math.ceilDiv(cols(), groupSize());
  }

  @Override
  default long scaleBytes() {
    return scaleFormat().bytes((long) rows() * groups());
  }

  /** Bytes of the group index, where there is one: one I32 a column. */
  default long groupIndexBytes() {
    return (long) cols() * Integer.BYTES;
  }
}
