package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;

/**
 * Quantizes a float32 matrix to 4-bit integers in groups of columns, rounding to nearest.
 *
 * <p>Symmetric: {@code scale = max|w| / 7}, codes -8 to 7 around the zero point 8. Asymmetric:
 * {@code scale = (max - min) / 15} with zero inside the range, and {@code zero = round(-min /
 * scale)}. The scale is rounded up to its stored type first, and the codes are chosen with the
 * rounded one; so without clipping {@code |w - decoded| <= scale / 2} (and one float32 rounding). A
 * group of zeros has scale 1. A {@link ClipSearch} may shrink the range of each group.
 *
 * <p>{@link IntegerPacker} turns the result into what AWQ or compressed-tensors files hold.
 * Threads: stateless; one call uses two rows of scratch.
 */
public final class Int4Quantizer {
  private Int4Quantizer() {}

  /**
   * Quantizes without clipping.
   *
   * @see #quantize(RowReader, int, int, Int4Recipe, ClipSearch, SegmentAllocator)
   */
  public static WeightMatrix quantize(
      RowReader reader, int rows, int cols, Int4Recipe recipe, SegmentAllocator allocator) {
    return quantize(reader, rows, cols, recipe, ClipSearch.NONE, allocator);
  }

  /**
   * Quantizes the rows that a reader gives.
   *
   * @param clip how the range of each group is chosen
   * @param allocator gives the memory of the result, which lives as long
   * @return a matrix in {@link Int4Layout}; with zero points if the recipe is asymmetric
   * @throws IllegalArgumentException if a size is below 1, an element is not finite, or a scale
   *     does not fit the scale format
   */
  public static WeightMatrix quantize(
      RowReader reader,
      int rows,
      int cols,
      Int4Recipe recipe,
      ClipSearch clip,
      SegmentAllocator allocator) {
    Int4Layout layout = recipe.layout(rows, cols);
    MemorySegment data = allocator.allocate(layout.weightBytes()).fill((byte) 0);
    MemorySegment scales = allocator.allocate(layout.scaleBytes());
    boolean isSymmetric = recipe.zeros() == ZeroPoints.SYMMETRIC;
    MemorySegment zeros = isSymmetric ? null : allocator.allocate(layout.zeroBytes());
    IntegerGrid grid = recipe.grid();
    float[] row = new float[cols];
    float[] error = new float[cols];
    for (int r = 0; r < rows; r++) {
      reader.read(r, row, 0);
      Checks.finiteRow(row, 0, cols, r);
      for (int g = 0; g < layout.groups(); g++) {
        int from = g * layout.groupSize();
        int to = from + Math.min(layout.groupSize(), cols - from);
        clip.fit(grid, row, from, to, error);
        encode(grid, row, from, to, data, layout.byteIndex(r, 0));
        LittleEndian.set(scales, layout.scaleFormat(), layout.scaleIndex(r, g), grid.scale());
        if (zeros != null) {
          zeros.set(ValueLayout.JAVA_BYTE, layout.scaleIndex(r, g), (byte) grid.zero());
        }
      }
    }
    return WeightMatrix.int4(layout, data, scales, zeros, null);
  }

  private static void encode(
      IntegerGrid grid, float[] row, int from, int to, MemorySegment data, long firstByte) {
    for (int c = from; c < to; c++) {
      long at = firstByte + (c >> 1);
      int nibble = grid.code(row[c]) << Int4Layout.shift(c);
      data.set(ValueLayout.JAVA_BYTE, at, (byte) (data.get(ValueLayout.JAVA_BYTE, at) | nibble));
    }
  }
}
