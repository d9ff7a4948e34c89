package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** compressed-tensors words: see {@link PackedIntLayout}. */
record PackedIntStorage(
    PackedIntLayout layout,
    MemorySegment data,
    MemorySegment scales,
    @Nullable MemorySegment zeroPoints,
    @Nullable MemorySegment groupIndex)
    implements IntegerStorage {
  PackedIntStorage {
    IntegerStorage.checkBytes(layout, data, scales, zeroPoints);
    data = data.asReadOnly();
    scales = scales.asReadOnly();
    zeroPoints = IntegerStorage.readOnly(zeroPoints);
    groupIndex = IntegerStorage.checkedIndex(layout, groupIndex);
  }

  @Override
  public int code(int r, int c) {
    int word = data.getAtIndex(LittleEndian.INT, layout.wordIndex(r, c));
    return (word >>> layout.shift(c)) & mask();
  }

  @Override
  public void bandCodes(int first, int count, byte[] out) {
    int cols = layout.cols();
    for (int i = 0; i < count; i++) {
      for (int c = 0; c < cols; c += layout.perWord()) {
        int word = data.getAtIndex(LittleEndian.INT, layout.wordIndex(first + i, c));
        int end = Math.min(layout.perWord(), cols - c);
        for (int j = 0; j < end; j++) {
          out[i * cols + c + j] = (byte) ((word >>> layout.shift(j)) & mask());
        }
      }
    }
  }

  @Override
  public int zero(int r, int g) {
    MemorySegment zeros = zeroPoints;
    if (zeros == null) {
      return 1 << (layout.bits() - 1);
    }
    int word = zeros.getAtIndex(LittleEndian.INT, layout.zeroIndex(r, g));
    return (word >>> layout.shift(r)) & mask();
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

  private int mask() {
    return (1 << layout.bits()) - 1;
  }
}
