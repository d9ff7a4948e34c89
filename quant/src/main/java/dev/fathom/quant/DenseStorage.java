package dev.fathom.quant;

import java.lang.foreign.MemorySegment;

/** Row-major F32, F16 or BF16. */
record DenseStorage(WeightFormat format, int rows, int cols, MemorySegment data)
    implements Storage {
  DenseStorage {
    if (!format.isDense()) {
      throw new IllegalArgumentException("must be a format without scales: format=" + format);
    }
    Checks.atLeast(1, "rows", rows);
    Checks.atLeast(1, "cols", cols);
    Checks.equal("data.bytes", format.bytes((long) rows * cols), data.byteSize());
    data = data.asReadOnly();
  }

  @Override
  public float get(int r, int c) {
    return LittleEndian.get(data, format, (long) r * cols + c);
  }

  @Override
  public void decodeRow(int r, float[] out, int off) {
    long first = (long) r * cols;
    switch (format) {
      case F32 -> MemorySegment.copy(data, LittleEndian.FLOAT, first * Float.BYTES, out, off, cols);
      case F16 -> decodeHalves(first, out, off);
      default -> decodeBf16(first, out, off);
    }
  }

  private void decodeHalves(long first, float[] out, int off) {
    for (int c = 0; c < cols; c++) {
      out[off + c] = Float.float16ToFloat(data.getAtIndex(LittleEndian.SHORT, first + c));
    }
  }

  private void decodeBf16(long first, float[] out, int off) {
    for (int c = 0; c < cols; c++) {
      out[off + c] = Bf16.decode(data.getAtIndex(LittleEndian.SHORT, first + c));
    }
  }
}
