package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** E2M1 pairs with an E8M0 scale for 32 columns: see {@link Mxfp4Layout}. */
record Mxfp4Storage(Mxfp4Layout layout, MemorySegment data, MemorySegment scales)
    implements Storage {
  Mxfp4Storage {
    Checks.equal("data.bytes", layout.weightBytes(), data.byteSize());
    Checks.equal("scales.bytes", layout.scaleBytes(), scales.byteSize());
    data = data.asReadOnly();
    scales = scales.asReadOnly();
  }

  @Override
  public WeightFormat format() {
    return WeightFormat.MXFP4;
  }

  @Override
  public int rows() {
    return layout.rows();
  }

  @Override
  public int cols() {
    return layout.cols();
  }

  @Override
  public float get(int r, int c) {
    byte pair = data.get(ValueLayout.JAVA_BYTE, layout.byteIndex(r, c));
    return ((c & 1) == 0 ? E2m1.decodeLow(pair) : E2m1.decodeHigh(pair)) * scale(r, c);
  }

  @Override
  public void decodeRow(int r, float[] out, int off) {
    for (int from = 0; from < layout.cols(); from += Mxfp4Layout.BLOCK) {
      float scale = scale(r, from);
      long first = layout.byteIndex(r, from);
      for (int i = 0; i < Mxfp4Layout.BLOCK / 2; i++) {
        byte pair = data.get(ValueLayout.JAVA_BYTE, first + i);
        int at = off + from + 2 * i;
        out[at] = E2m1.decodeLow(pair) * scale;
        out[at + 1] = E2m1.decodeHigh(pair) * scale;
      }
    }
  }

  private float scale(int r, int c) {
    return E8m0.decode(scales.get(ValueLayout.JAVA_BYTE, layout.scaleIndex(r, c)));
  }
}
