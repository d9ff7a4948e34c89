package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Bf16Decode;
import dev.fathom.cpu.kernel.Fp8Decode;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Reads rows of a KV cache in the 8-bit formats, laid out as {@link KvLayout} says, with the
 * results of {@link dev.fathom.backend.KvRows}.
 */
final class ByteRows {

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final boolean scaled;
  private final int width;
  private final long rowBytes;
  private final int quantized;
  private final int vector;
  private final int group;
  private final long scales;
  private final long plain;

  ByteRows(KvLayout layout) {
    this.scaled = layout.format() == KvFormat.FP8_E4M3;
    this.width = layout.spec().elementsPerToken();
    this.rowBytes = layout.bytesPerToken();
    this.quantized = layout.quantizedElements();
    this.vector = layout.spec().vectorElements();
    this.group = layout.groupEnd(0);
    this.scales = layout.scaleOffset(0);
    this.plain = layout.plainOffset(quantized);
  }

  /** Reads n rows that lie one after the other, the first one from a byte on. */
  void readAll(MemorySegment blocks, long at, int n, float[] target, int off) {
    if (!scaled) {
      Fp8Decode.e5m2(blocks, at, target, off, n * width);
      return;
    }
    for (int i = 0; i < n; i++) {
      readScaled(blocks, at + i * rowBytes, 0, width, target, off + i * width);
    }
  }

  /** Reads elements [first, first + len) of the row that begins at a byte. */
  void read(MemorySegment blocks, long row, int first, int len, float[] target, int off) {
    if (scaled) {
      readScaled(blocks, row, first, len, target, off);
    } else {
      Fp8Decode.e5m2(blocks, row + first, target, off, len);
    }
  }

  private void readScaled(
      MemorySegment blocks, long row, int first, int len, float[] target, int off) {
    int end = first + len;
    int scaledEnd = Math.min(end, quantized);
    int e = first;
    int inVector = first % vector;
    long scale = row + scales + 4L * (first / vector) * Math.ceilDiv(vector, group);
    scale += 4L * (inVector / group);
    while (e < scaledEnd) {
      int toGroupEnd = Math.min(vector - inVector, group - inVector % group);
      int n = Math.min(scaledEnd - e, toGroupEnd);
      Fp8Decode.e4m3(blocks, row + e, blocks.get(FLOAT, scale), target, off + e - first, n);
      e += n;
      inVector = inVector + n == vector ? 0 : inVector + n;
      scale += 4;
    }
    if (e < end) {
      long at = row + plain + 2L * (e - quantized);
      Bf16Decode.run(blocks, at, target, off + e - first, end - e);
    }
  }
}
