package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** E4M3 bytes with a float32 multiplier a block: see {@link BlockScaleLayout}. */
record BlockFp8Storage(BlockScaleLayout layout, MemorySegment data, MemorySegment scales)
    implements Storage {
  BlockFp8Storage {
    Checks.equal("data.bytes", layout.weightBytes(), data.byteSize());
    Checks.equal("scales.bytes", layout.scaleBytes(), scales.byteSize());
    data = data.asReadOnly();
    scales = scales.asReadOnly();
  }

  @Override
  public WeightFormat format() {
    return WeightFormat.FP8_E4M3;
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
    byte code = data.get(ValueLayout.JAVA_BYTE, (long) r * layout.cols() + c);
    return Fp8E4m3.decode(code) * scale(r, c);
  }

  @Override
  public void decodeRow(int r, float[] out, int off) {
    int cols = layout.cols();
    long first = (long) r * cols;
    for (int from = 0; from < cols; from += Math.min(layout.blockCols(), cols - from)) {
      float scale = scale(r, from);
      int to = from + Math.min(layout.blockCols(), cols - from);
      for (int c = from; c < to; c++) {
        out[off + c] = Fp8E4m3.decode(data.get(ValueLayout.JAVA_BYTE, first + c)) * scale;
      }
    }
  }

  private float scale(int r, int c) {
    return scales.getAtIndex(LittleEndian.FLOAT, layout.scaleIndex(r, c));
  }
}
