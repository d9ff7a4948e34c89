package dev.fathom.backend;

import dev.fathom.kvcache.KvLayout;
import dev.fathom.quant.Bf16;
import dev.fathom.quant.Fp8E4m3;
import dev.fathom.quant.Fp8E5m2;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Writes and reads rows of a KV cache in the 8-bit formats, laid out as {@link KvLayout} says.
 *
 * <p>{@code FP8_E4M3}: each group of elements shares a float32 scale, the largest magnitude of the
 * group divided by 448, so that no element overflows; elements are rounded to nearest, ties to
 * even. A group of zeros has scale 0. {@code FP8_E5M2}: elements are rounded to nearest, what is
 * beyond 57344 is clamped to it. A backend may store rows as it likes, but has the results of
 * these.
 *
 * <p>Threads: stateless; different rows may be written at once.
 */
public final class KvRows {

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final float[] E4M3 = Fp8E4m3.table();
  private static final float[] E5M2 = Fp8E5m2.table();

  private KvRows() {}

  /**
   * Writes elements [first, first + len) of a row.
   *
   * @param layout of the layer, in an 8-bit format
   * @param blocks memory of the layer
   * @param row first byte of the row
   * @param source float32 elements from {@code off}
   * @throws IllegalArgumentException if the range cuts a group of elements that share a scale
   */
  public static void write(
      KvLayout layout,
      MemorySegment blocks,
      long row,
      int first,
      float[] source,
      int off,
      int len) {
    switch (layout.format()) {
      case FP8_E4M3 -> writeScaled(layout, blocks, row, first, source, off, len);
      case FP8_E5M2 -> {
        for (int i = 0; i < len; i++) {
          float value = Math.clamp(source[off + i], -Fp8E5m2.MAX, Fp8E5m2.MAX);
          blocks.set(ValueLayout.JAVA_BYTE, row + first + i, Fp8E5m2.encode(value));
        }
      }
      case F32, BF16 -> throw notByte(layout);
    }
  }

  private static void writeScaled(
      KvLayout layout,
      MemorySegment blocks,
      long row,
      int first,
      float[] source,
      int off,
      int len) {
    int end = first + len;
    for (int e = first; e < end; ) {
      if (e >= layout.quantizedElements()) {
        blocks.set(SHORT, row + layout.plainOffset(e), Bf16.encode(source[off + e - first]));
        e++;
        continue;
      }
      int groupEnd = layout.groupEnd(e);
      if (layout.groupBegin(e) != e || groupEnd > end) {
        throw new IllegalArgumentException(
            "must not cut a group of elements: first=" + first + " len=" + len);
      }
      writeGroup(layout, blocks, row, e, groupEnd, source, off + e - first);
      e = groupEnd;
    }
  }

  private static void writeGroup(
      KvLayout layout,
      MemorySegment blocks,
      long row,
      int begin,
      int end,
      float[] source,
      int off) {
    float largest = 0;
    for (int i = 0; i < end - begin; i++) {
      largest = Math.max(largest, Math.abs(source[off + i]));
    }
    float scale = largest / Fp8E4m3.MAX;
    blocks.set(FLOAT, row + layout.scaleOffset(begin), scale);
    for (int i = 0; i < end - begin; i++) {
      float value = scale == 0 ? 0 : source[off + i] / scale;
      float clamped = Math.clamp(value, -Fp8E4m3.MAX, Fp8E4m3.MAX);
      blocks.set(ValueLayout.JAVA_BYTE, row + begin + i, Fp8E4m3.encode(clamped));
    }
  }

  /**
   * Reads elements [first, first + len) of a row to {@code target[off..]} as float32.
   *
   * @param layout of the layer, in an 8-bit format
   * @param blocks memory of the layer
   * @param row first byte of the row
   */
  public static void read(
      KvLayout layout,
      MemorySegment blocks,
      long row,
      int first,
      int len,
      float[] target,
      int off) {
    switch (layout.format()) {
      case FP8_E4M3 -> readScaled(layout, blocks, row, first, len, target, off);
      case FP8_E5M2 -> {
        for (int i = 0; i < len; i++) {
          int code = blocks.get(ValueLayout.JAVA_BYTE, row + first + i) & 0xFF;
          target[off + i] = E5M2[code];
        }
      }
      case F32, BF16 -> throw notByte(layout);
    }
  }

  private static void readScaled(
      KvLayout layout,
      MemorySegment blocks,
      long row,
      int first,
      int len,
      float[] target,
      int off) {
    int end = first + len;
    int quantized = Math.min(end, layout.quantizedElements());
    int e = first;
    while (e < quantized) {
      int groupEnd = Math.min(quantized, layout.groupEnd(e));
      float scale = blocks.get(FLOAT, row + layout.scaleOffset(e));
      for (; e < groupEnd; e++) {
        int code = blocks.get(ValueLayout.JAVA_BYTE, row + e) & 0xFF;
        target[off + e - first] = scale * E4M3[code];
      }
    }
    for (; e < end; e++) {
      short bits = blocks.get(SHORT, row + layout.plainOffset(e));
      target[off + e - first] = Bf16.decode(bits);
    }
  }

  private static IllegalArgumentException notByte(KvLayout layout) {
    return new IllegalArgumentException("must be an 8-bit format: format=" + layout.format());
  }
}
