package dev.fathom.quant;

import java.lang.foreign.MemorySegment;

/** AWQ words: see {@link AwqLayout}. */
record AwqStorage(
    AwqLayout layout, MemorySegment data, MemorySegment zeroPoints, MemorySegment scales)
    implements IntegerStorage {
  AwqStorage {
    IntegerStorage.checkBytes(layout, data, scales, zeroPoints);
    data = data.asReadOnly();
    zeroPoints = zeroPoints.asReadOnly();
    scales = scales.asReadOnly();
  }

  @Override
  public int code(int r, int c) {
    int word = data.getAtIndex(LittleEndian.INT, layout.wordIndex(r, c));
    return (word >>> AwqLayout.shift(r)) & 0xF;
  }

  @Override
  public void bandCodes(int first, int count, byte[] out) {
    int cols = layout.cols();
    long at = layout.wordIndex(first, 0);
    for (int c = 0; c < cols; c++, at += layout.wordCols()) {
      int word = data.getAtIndex(LittleEndian.INT, at);
      for (int i = 0; i < count; i++) {
        out[i * cols + c] = (byte) ((word >>> AwqLayout.shift(i)) & 0xF);
      }
    }
  }

  @Override
  public int zero(int r, int g) {
    int word = zeroPoints.getAtIndex(LittleEndian.INT, layout.zeroIndex(r, g));
    return (word >>> AwqLayout.shift(r)) & 0xF;
  }

  @Override
  public float scale(int r, int g) {
    return LittleEndian.get(scales, layout.scaleFormat(), layout.scaleIndex(r, g));
  }

  @Override
  public void decodeGroup(int r, int from, int to, int zero, float scale, float[] out, int off) {
    int shift = AwqLayout.shift(r);
    int stride = layout.wordCols();
    long word = layout.wordIndex(r, from);
    for (int c = from; c < to; c++, word += stride) {
      int code = (data.getAtIndex(LittleEndian.INT, word) >>> shift) & 0xF;
      out[off + c] = (code - zero) * scale;
    }
  }
}
