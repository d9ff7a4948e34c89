package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Quantizes a float32 matrix to E4M3 in rectangular blocks, as DeepSeek-V3 checkpoints store it.
 *
 * <p>For each block: {@code scale = max|w| / 448} in float32, then each element is {@code e4m3(w /
 * scale)}, rounded to nearest even. With {@link ScaleRounding#POWER_OF_TWO} the scale is raised to
 * the next power of two (V3.1 and later, "ue8m0"). A block whose elements are all zero gets scale
 * 1, so that nobody divides by zero; a block of tiny elements gets at least the smallest normal
 * float32, so that {@code w / scale} stays finite.
 *
 * <p>Source: DeepSeek-V3, section 3.3.2 and the checkpoint format. Threads: stateless; one call
 * uses {@code blockRows · cols} floats of scratch.
 */
public final class BlockFp8Quantizer {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private BlockFp8Quantizer() {}

  /** How the float32 scale of a block is rounded. */
  public enum ScaleRounding {
    /** Any float32, as in V3 and R1. */
    FLOAT32,
    /**
     * The next power of two that is not smaller, as in V3.1 and later; stored as float32 all the
     * same.
     */
    POWER_OF_TWO
  }

  /**
   * Quantizes with float32 scales.
   *
   * @see #quantize(RowReader, BlockScaleLayout, ScaleRounding, MemorySegment, MemorySegment)
   */
  public static void quantize(
      RowReader reader, BlockScaleLayout layout, MemorySegment outData, MemorySegment outScales) {
    quantize(reader, layout, ScaleRounding.FLOAT32, outData, outScales);
  }

  /**
   * Quantizes a row-major array of {@code rows · cols} floats with float32 scales.
   *
   * @throws IllegalArgumentException if the array has another length, and as the general form
   */
  public static void quantize(
      float[] weights, BlockScaleLayout layout, MemorySegment outData, MemorySegment outScales) {
    Checks.equal("weights.length", layout.weightBytes(), weights.length);
    int cols = layout.cols();
    quantize(
        (r, out, off) -> System.arraycopy(weights, r * cols, out, off, cols),
        layout,
        outData,
        outScales);
  }

  /**
   * Quantizes the rows that a reader gives.
   *
   * @param outData receives {@code layout.weightBytes()} bytes of E4M3
   * @param outScales receives {@code layout.scaleBytes()} bytes of float32, little endian
   * @throws IllegalArgumentException if a segment has another length or an element is not finite
   */
  public static void quantize(
      RowReader reader,
      BlockScaleLayout layout,
      ScaleRounding rounding,
      MemorySegment outData,
      MemorySegment outScales) {
    Checks.equal("outData.bytes", layout.weightBytes(), outData.byteSize());
    Checks.equal("outScales.bytes", layout.scaleBytes(), outScales.byteSize());
    int cols = layout.cols();
    float[] band = new float[Math.multiplyExact(Math.min(layout.blockRows(), layout.rows()), cols)];
    float[] scales = new float[layout.scaleCols()];
    for (int b = 0; b < layout.scaleRows(); b++) {
      int firstRow = b * layout.blockRows();
      int bandRows = Math.min(layout.blockRows(), layout.rows() - firstRow);
      for (int i = 0; i < bandRows; i++) {
        reader.read(firstRow + i, band, i * cols);
        Checks.finiteRow(band, i * cols, cols, firstRow + i);
      }
      blockScales(band, bandRows, layout, rounding, scales);
      long scaleByte = (long) b * scales.length * Float.BYTES;
      MemorySegment.copy(scales, 0, outScales, FLOAT, scaleByte, scales.length);
      encodeBand(band, bandRows, layout, scales, outData, (long) firstRow * cols);
    }
  }

  /** Writes the scale of each block of a band of {@code bandRows} rows to {@code scales}. */
  private static void blockScales(
      float[] band, int bandRows, BlockScaleLayout layout, ScaleRounding rounding, float[] scales) {
    int cols = layout.cols();
    Arrays.fill(scales, 0f);
    for (int i = 0; i < bandRows; i++) {
      for (int c = 0; c < cols; c++) {
        int block = c / layout.blockCols();
        scales[block] = Math.max(scales[block], Math.abs(band[i * cols + c]));
      }
    }
    for (int block = 0; block < scales.length; block++) {
      scales[block] = scale(scales[block], rounding);
    }
  }

  private static float scale(float maximum, ScaleRounding rounding) {
    if (maximum == 0f) {
      return 1f;
    }
    float scale = Math.max(maximum / Fp8E4m3.MAX, Float.MIN_NORMAL);
    return rounding == ScaleRounding.FLOAT32 ? scale : E8m0.decode(E8m0.encodeCeil(scale));
  }

  private static void encodeBand(
      float[] band,
      int bandRows,
      BlockScaleLayout layout,
      float[] scales,
      MemorySegment outData,
      long firstByte) {
    int cols = layout.cols();
    for (int i = 0; i < bandRows; i++) {
      for (int c = 0; c < cols; c++) {
        byte code = Fp8E4m3.encode(band[i * cols + c] / scales[c / layout.blockCols()]);
        outData.set(ValueLayout.JAVA_BYTE, firstByte + (long) i * cols + c, code);
      }
    }
  }
}
