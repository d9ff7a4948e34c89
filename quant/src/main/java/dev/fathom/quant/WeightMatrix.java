package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * An immutable view of one stored matrix [rows, cols], row-major, in any {@link WeightFormat}.
 *
 * <p>A vector (norm weight, bias) has one row. All numbers are little endian and may lie at any
 * alignment, since safetensors promises none.
 *
 * <p>Memory: the view owns nothing. The arena of whoever loaded the segments owns them and closes
 * them; after that each access throws IllegalStateException. The view hands out read-only segments
 * and never writes. Threads: safe for any number of readers, as far as the arena of the segments
 * allows.
 */
public final class WeightMatrix {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final WeightFormat format;
  private final int rows;
  private final int cols;
  private final MemorySegment data;
  private final @Nullable MemorySegment scales;
  private final @Nullable BlockScaleLayout layout;

  private WeightMatrix(
      WeightFormat format,
      int rows,
      int cols,
      MemorySegment data,
      @Nullable MemorySegment scales,
      @Nullable BlockScaleLayout layout) {
    this.format = format;
    this.rows = rows;
    this.cols = cols;
    this.data = data.asReadOnly();
    this.scales = scales == null ? null : scales.asReadOnly();
    this.layout = layout;
  }

  /**
   * A matrix whose elements stand for themselves.
   *
   * @param format F32, F16 or BF16
   * @param data rows · cols elements, row-major, no padding
   * @throws IllegalArgumentException if the format needs scales, a size is below 1 or the segment
   *     has another length
   */
  public static WeightMatrix dense(WeightFormat format, int rows, int cols, MemorySegment data) {
    if (!format.isDense()) {
      throw new IllegalArgumentException("must be a format without scales: format=" + format);
    }
    Checks.atLeast(1, "rows", rows);
    Checks.atLeast(1, "cols", cols);
    Checks.equal("data.bytes", format.bytes((long) rows * cols), data.byteSize());
    return new WeightMatrix(format, rows, cols, data, null, null);
  }

  /**
   * A matrix of E4M3 bytes with one float32 multiplier a block.
   *
   * @param layout where elements and scales lie
   * @param data {@code layout.weightBytes()} bytes
   * @param scales {@code layout.scaleBytes()} bytes of float32; decode E8M0 scales first ({@link
   *     E8m0#decode(MemorySegment, MemorySegment)})
   * @throws IllegalArgumentException if a segment has another length
   */
  public static WeightMatrix blockFp8(
      BlockScaleLayout layout, MemorySegment data, MemorySegment scales) {
    Checks.equal("data.bytes", layout.weightBytes(), data.byteSize());
    Checks.equal("scales.bytes", layout.scaleBytes(), scales.byteSize());
    return new WeightMatrix(
        WeightFormat.FP8_E4M3, layout.rows(), layout.cols(), data, scales, layout);
  }

  /** How the elements are stored. */
  public WeightFormat format() {
    return format;
  }

  /** Rows: output features of a linear, 1 for a vector. */
  public int rows() {
    return rows;
  }

  /** Columns: input features of a linear, the length of a vector. */
  public int cols() {
    return cols;
  }

  /** The stored elements, read-only. */
  public MemorySegment data() {
    return data;
  }

  /** The float32 multipliers of the blocks, read-only, at any alignment; null for dense formats. */
  public @Nullable MemorySegment scales() {
    return scales;
  }

  /** Where elements and scales lie; null for dense formats. */
  public @Nullable BlockScaleLayout layout() {
    return layout;
  }

  /** Bytes of the elements and scales together. */
  public long bytes() {
    return data.byteSize() + (scales == null ? 0 : scales.byteSize());
  }

  /**
   * Element (r, c) as float32; for tests and rare look-ups, see {@link #decodeRow} for more.
   *
   * @throws IndexOutOfBoundsException if r or c is outside
   */
  public float get(int r, int c) {
    Checks.index("r", r, rows);
    Checks.index("c", c, cols);
    long index = (long) r * cols + c;
    return switch (format) {
      case F32 -> data.getAtIndex(FLOAT, index);
      case F16 -> Float.float16ToFloat(data.getAtIndex(SHORT, index));
      case BF16 -> Bf16.decode(data.getAtIndex(SHORT, index));
      case FP8_E4M3 ->
          Fp8E4m3.decode(data.get(ValueLayout.JAVA_BYTE, index)) * scale(requireLayout(), r, c);
    };
  }

  /**
   * Decodes row r into {@code out[off, off + cols)}. For FP8 each element is the float32 product of
   * the decoded byte and its multiplier.
   *
   * @throws IndexOutOfBoundsException if r is outside or the row does not fit
   */
  public void decodeRow(int r, float[] out, int off) {
    Checks.index("r", r, rows);
    Checks.range("out", off, cols, out.length);
    long first = (long) r * cols;
    switch (format) {
      case F32 -> MemorySegment.copy(data, FLOAT, first * Float.BYTES, out, off, cols);
      case F16 -> {
        for (int c = 0; c < cols; c++) {
          out[off + c] = Float.float16ToFloat(data.getAtIndex(SHORT, first + c));
        }
      }
      case BF16 -> {
        for (int c = 0; c < cols; c++) {
          out[off + c] = Bf16.decode(data.getAtIndex(SHORT, first + c));
        }
      }
      case FP8_E4M3 -> decodeBlockRow(requireLayout(), r, out, off);
    }
  }

  private void decodeBlockRow(BlockScaleLayout blocks, int r, float[] out, int off) {
    long first = (long) r * cols;
    for (int from = 0; from < cols; from += Math.min(blocks.blockCols(), cols - from)) {
      float scale = scale(blocks, r, from);
      int to = from + Math.min(blocks.blockCols(), cols - from);
      for (int c = from; c < to; c++) {
        out[off + c] = Fp8E4m3.decode(data.get(ValueLayout.JAVA_BYTE, first + c)) * scale;
      }
    }
  }

  private float scale(BlockScaleLayout blocks, int r, int c) {
    MemorySegment multipliers = scales;
    if (multipliers == null) {
      throw new IllegalStateException("a format with blocks has scales: format=" + format);
    }
    return multipliers.getAtIndex(FLOAT, blocks.scaleIndex(r, c));
  }

  private BlockScaleLayout requireLayout() {
    BlockScaleLayout blocks = layout;
    if (blocks == null) {
      throw new IllegalStateException("a format with blocks has a layout: format=" + format);
    }
    return blocks;
  }

  /** Format, shape and bytes, without elements. */
  @Override
  public String toString() {
    return "WeightMatrix[" + format + " " + rows + "x" + cols + ", " + bytes() + " bytes]";
  }
}
