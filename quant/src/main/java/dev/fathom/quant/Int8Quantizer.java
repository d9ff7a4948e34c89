package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;

/**
 * Quantizes a float32 matrix to signed 8-bit integers, with one scale a row or a group of columns,
 * rounding to nearest.
 *
 * <p>{@code scale = max|w| / 127}, rounded up to its stored type first; codes -127 to 127, never
 * -128; {@code |w - decoded| <= scale / 2} (and one float32 rounding). A group of zeros has scale
 * 1. There are no zero points.
 *
 * <p>Threads: stateless; one call uses two rows of scratch.
 */
public final class Int8Quantizer {
  private Int8Quantizer() {}

  /**
   * Quantizes the rows that a reader gives.
   *
   * @param layout where the result lies; {@link Int8Layout#perChannel} for one scale a row
   * @param allocator gives the memory of the result, which lives as long
   * @throws IllegalArgumentException if an element is not finite, or a scale does not fit the scale
   *     format
   */
  public static WeightMatrix quantize(
      RowReader reader, Int8Layout layout, SegmentAllocator allocator) {
    int cols = layout.cols();
    MemorySegment data = allocator.allocate(layout.weightBytes());
    MemorySegment scales = allocator.allocate(layout.scaleBytes());
    IntegerGrid grid = new IntegerGrid(8, ZeroPoints.SYMMETRIC, layout.scaleFormat());
    float[] row = new float[cols];
    float[] error = new float[cols];
    for (int r = 0; r < layout.rows(); r++) {
      reader.read(r, row, 0);
      Checks.finiteRow(row, 0, cols, r);
      for (int g = 0; g < layout.groups(); g++) {
        int from = g * layout.groupSize();
        int to = from + Math.min(layout.groupSize(), cols - from);
        ClipSearch.NONE.fit(grid, row, from, to, error);
        for (int c = from; c < to; c++) {
          byte stored = (byte) (grid.code(row[c]) - Int8Storage.OFFSET);
          data.set(ValueLayout.JAVA_BYTE, layout.byteIndex(r, c), stored);
        }
        LittleEndian.set(scales, layout.scaleFormat(), layout.scaleIndex(r, g), grid.scale());
      }
    }
    return WeightMatrix.int8(layout, data, scales, null, null);
  }
}
