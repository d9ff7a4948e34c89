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
 * group of zeros has scale 1. A {@link WeightSearch} may shrink the range of each group and choose
 * other codes than the nearest.
 *
 * <p>{@link IntegerPacker} turns the result into what AWQ or compressed-tensors files hold.
 * Threads: stateless; one call uses a few rows of scratch.
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
   * Quantizes with a clipping search alone.
   *
   * @see #quantize(RowReader, int, int, Int4Recipe, WeightSearch, SegmentAllocator)
   */
  public static WeightMatrix quantize(
      RowReader reader,
      int rows,
      int cols,
      Int4Recipe recipe,
      ClipSearch clip,
      SegmentAllocator allocator) {
    return quantize(reader, rows, cols, recipe, new WeightSearch(clip, null), allocator);
  }

  /**
   * Quantizes the rows that a reader gives.
   *
   * @param search how ranges and codes are chosen
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
      WeightSearch search,
      SegmentAllocator allocator) {
    Int4Layout layout = recipe.layout(rows, cols);
    MemorySegment data = allocator.allocate(layout.weightBytes()).fill((byte) 0);
    MemorySegment scales = allocator.allocate(layout.scaleBytes());
    boolean isSymmetric = recipe.zeros() == ZeroPoints.SYMMETRIC;
    MemorySegment zeros = isSymmetric ? null : allocator.allocate(layout.zeroBytes());
    Row row = new Row(layout, recipe.grid());
    for (int r = 0; r < rows; r++) {
      reader.read(r, row.weights, 0);
      Checks.finiteRow(row.weights, 0, cols, r);
      row.quantize(search);
      row.encode(data, layout.byteIndex(r, 0));
      for (int g = 0; g < layout.groups(); g++) {
        int first = g * layout.groupSize();
        LittleEndian.set(scales, layout.scaleFormat(), layout.scaleIndex(r, g), row.scale[first]);
        if (zeros != null) {
          zeros.set(ValueLayout.JAVA_BYTE, layout.scaleIndex(r, g), (byte) row.zero[first]);
        }
      }
    }
    return WeightMatrix.int4(layout, data, scales, zeros, null);
  }

  /** A row and what becomes of it; scale and zero point are kept for each column. */
  private static final class Row {
    private static final int LAST = 15;

    private final Int4Layout layout;
    private final IntegerGrid grid;
    private final float[] weights;
    private final float[] error;
    private final int[] codes;
    private final float[] scale;
    private final int[] zero;
    private final double[] scratch;

    Row(Int4Layout layout, IntegerGrid grid) {
      this.layout = layout;
      this.grid = grid;
      this.weights = new float[layout.cols()];
      this.error = new float[layout.cols()];
      this.codes = new int[layout.cols()];
      this.scale = new float[layout.cols()];
      this.zero = new int[layout.cols()];
      this.scratch = new double[2 * layout.cols()];
    }

    void quantize(WeightSearch search) {
      int cols = layout.cols();
      for (int g = 0; g < layout.groups(); g++) {
        int from = g * layout.groupSize();
        int to = from + Math.min(layout.groupSize(), cols - from);
        search.clip().fit(grid, weights, from, to, error);
        for (int c = from; c < to; c++) {
          codes[c] = grid.code(weights[c]);
          scale[c] = grid.scale();
          zero[c] = grid.zero();
        }
      }
      RoundingSearch rounding = search.rounding();
      if (rounding != null) {
        rounding.improve(weights, codes, scale, zero, LAST, scratch);
      }
    }

    void encode(MemorySegment data, long firstByte) {
      for (int c = 0; c < codes.length; c++) {
        long at = firstByte + (c >> 1);
        int nibble = codes[c] << Int4Layout.shift(c);
        data.set(ValueLayout.JAVA_BYTE, at, (byte) (data.get(ValueLayout.JAVA_BYTE, at) | nibble));
      }
    }
  }
}
