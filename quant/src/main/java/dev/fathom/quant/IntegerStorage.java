package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Integers with scales and zero points, in any packing: {@code (code - zero) · scale}.
 *
 * <p>Codes and zero points are unsigned, see {@link IntegerLayout}.
 */
sealed interface IntegerStorage extends Storage
    permits Int4Storage, Int8Storage, AwqStorage, GptqStorage, PackedIntStorage {
  @Override
  IntegerLayout layout();

  @Override
  MemorySegment scales();

  /** Rows whose codes are read together: those of an AWQ word. */
  int BAND = 8;

  /**
   * Writes the codes of a band of rows to {@code out}, [count, cols].
   *
   * @param first first row, a multiple of {@link #BAND}
   * @param count {@link #BAND}, or fewer at the end of the matrix
   */
  void bandCodes(int first, int count, byte[] out);

  /** The stored integer of element (r, c), in [0, 2^bits). */
  int code(int r, int c);

  /** The zero point of row r and group g, in [0, 2^bits). */
  int zero(int r, int g);

  /** The scale of row r and group g. */
  float scale(int r, int g);

  @Override
  default WeightFormat format() {
    return layout().bits() == 4 ? WeightFormat.INT4 : WeightFormat.INT8;
  }

  @Override
  default int rows() {
    return layout().rows();
  }

  @Override
  default int cols() {
    return layout().cols();
  }

  /** The group of column c. */
  default int group(int c) {
    MemorySegment index = groupIndex();
    return index == null ? c / layout().groupSize() : index.getAtIndex(LittleEndian.INT, c);
  }

  @Override
  default float get(int r, int c) {
    int g = group(c);
    return (code(r, c) - zero(r, g)) * scale(r, g);
  }

  @Override
  default void decodeRow(int r, float[] out, int off) {
    if (groupIndex() != null) {
      for (int c = 0; c < cols(); c++) {
        out[off + c] = get(r, c);
      }
      return;
    }
    int groupSize = layout().groupSize();
    for (int g = 0; g < layout().groups(); g++) {
      int from = g * groupSize;
      int to = from + Math.min(groupSize, cols() - from);
      decodeGroup(r, from, to, zero(r, g), scale(r, g), out, off);
    }
  }

  /** Decodes columns [from, to) of row r, which share zero point and scale. */
  void decodeGroup(int r, int from, int to, int zero, float scale, float[] out, int off);

  /** Checks the lengths of all segments. */
  static void checkBytes(
      IntegerLayout layout,
      MemorySegment data,
      MemorySegment scales,
      @Nullable MemorySegment zeroPoints) {
    Checks.equal("data.bytes", layout.weightBytes(), data.byteSize());
    Checks.equal("scales.bytes", layout.scaleBytes(), scales.byteSize());
    if (zeroPoints != null) {
      Checks.equal("zeroPoints.bytes", layout.zeroBytes(), zeroPoints.byteSize());
    }
  }

  /**
   * Checks a group index and returns it read-only, or null where it says nothing but {@code c /
   * groupSize}.
   */
  static @Nullable MemorySegment checkedIndex(
      IntegerLayout layout, @Nullable MemorySegment groupIndex) {
    if (groupIndex == null) {
      return null;
    }
    Checks.equal("groupIndex.bytes", layout.groupIndexBytes(), groupIndex.byteSize());
    boolean isPlain = true;
    for (int c = 0; c < layout.cols(); c++) {
      int g = groupIndex.getAtIndex(LittleEndian.INT, c);
      if (g < 0 || g >= layout.groups()) {
        throw new IllegalArgumentException(
            "must be in [0, " + layout.groups() + "): groupIndex[" + c + "]=" + g);
      }
      isPlain &= g == c / layout.groupSize();
    }
    return isPlain ? null : groupIndex.asReadOnly();
  }

  /** The same segment, read-only, or null. */
  static @Nullable MemorySegment readOnly(@Nullable MemorySegment segment) {
    return segment == null ? null : segment.asReadOnly();
  }
}
