package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** GPTQ words: see {@link GptqLayout}. */
record GptqStorage(
    GptqLayout layout,
    MemorySegment data,
    MemorySegment zeroPoints,
    MemorySegment scales,
    @Nullable MemorySegment groupIndex)
    implements IntegerStorage {
  GptqStorage {
    IntegerStorage.checkBytes(layout, data, scales, zeroPoints);
    data = data.asReadOnly();
    zeroPoints = zeroPoints.asReadOnly();
    scales = scales.asReadOnly();
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
    for (int c = 0; c < cols; c += layout.perWord()) {
      long at = layout.wordIndex(first, c);
      for (int i = 0; i < count; i++) {
        int word = data.getAtIndex(LittleEndian.INT, at + i);
        for (int j = 0; j < layout.perWord(); j++) {
          out[i * cols + c + j] = (byte) ((word >>> layout.shift(j)) & mask());
        }
      }
    }
  }

  @Override
  public int zero(int r, int g) {
    int word = zeroPoints.getAtIndex(LittleEndian.INT, layout.zeroIndex(r, g));
    return layout.zero((word >>> layout.shift(r)) & mask());
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
