package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Row-major 4-bit integers: see {@link Int4Layout}. */
record Int4Storage(
    Int4Layout layout,
    MemorySegment data,
    MemorySegment scales,
    @Nullable MemorySegment zeroPoints,
    @Nullable MemorySegment groupIndex)
    implements IntegerStorage {
  Int4Storage {
    IntegerStorage.checkBytes(layout, data, scales, zeroPoints);
    data = data.asReadOnly();
    scales = scales.asReadOnly();
    zeroPoints = IntegerStorage.readOnly(zeroPoints);
    groupIndex = IntegerStorage.checkedIndex(layout, groupIndex);
  }

  @Override
  public int code(int r, int c) {
    int pair = data.get(ValueLayout.JAVA_BYTE, layout.byteIndex(r, c));
    return (pair >>> Int4Layout.shift(c)) & 0xF;
  }

  @Override
  public void bandCodes(int first, int count, byte[] out) {
    int cols = layout.cols();
    for (int i = 0; i < count; i++) {
      for (int c = 0; c < cols; c++) {
        out[i * cols + c] = (byte) code(first + i, c);
      }
    }
  }

  @Override
  public int zero(int r, int g) {
    MemorySegment zeros = zeroPoints;
    return zeros == null
        ? Int4Layout.SYMMETRIC_ZERO
        : zeros.get(ValueLayout.JAVA_BYTE, layout.scaleIndex(r, g)) & 0xFF;
  }

  @Override
  public float scale(int r, int g) {
    return LittleEndian.get(scales, layout.scaleFormat(), layout.scaleIndex(r, g));
  }

  @Override
  public void decodeGroup(int r, int from, int to, int zero, float scale, float[] out, int off) {
    for (int c = from; c < to; c++) {
      out[off + c] = (code(r, c) - zero) * scale;
    }
  }
}
