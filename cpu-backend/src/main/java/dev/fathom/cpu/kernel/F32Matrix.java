package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/** Products with float32 rows: one sum in lanes for each row and vector. */
final class F32Matrix extends RowMatrix {

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE);

  private final MemorySegment data;

  F32Matrix(WeightMatrix source) {
    super(source.rows(), source.cols());
    this.data = source.data();
  }

  @Override
  public Order order() {
    return Order.NATURAL;
  }

  private long rowByte(int r) {
    return (long) r * cols() * Float.BYTES;
  }

  @Override
  int body() {
    return cols() - cols() % L;
  }

  @Override
  float tail(int r, float[] x, int off) {
    long row = rowByte(r);
    float sum = 0;
    for (int c = body(); c < cols(); c++) {
      sum += data.get(FLOAT, row + 4L * c) * x[off + c];
    }
    return sum;
  }

  @Override
  void four(int r, int step, int last, float[] x, int off, float[] lanes) {
    MemorySegment weights = NativeMemory.of(data);
    int body = body();
    long a = rowByte(r);
    long b = rowByte(Math.min(r + step, last));
    long c = rowByte(Math.min(r + 2 * step, last));
    long d = rowByte(Math.min(r + 3 * step, last));
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    for (int i = 0; i < body; i += L) {
      FloatVector v = FloatVector.fromArray(F, x, off + i);
      s0 = FloatVector.fromMemorySegment(F, weights, a + 4L * i, LITTLE).fma(v, s0);
      s1 = FloatVector.fromMemorySegment(F, weights, b + 4L * i, LITTLE).fma(v, s1);
      s2 = FloatVector.fromMemorySegment(F, weights, c + 4L * i, LITTLE).fma(v, s2);
      s3 = FloatVector.fromMemorySegment(F, weights, d + 4L * i, LITTLE).fma(v, s3);
    }
    s0.intoArray(lanes, 0);
    s1.intoArray(lanes, L);
    s2.intoArray(lanes, 2 * L);
    s3.intoArray(lanes, 3 * L);
  }

  @Override
  boolean hasScalarRows() {
    return L >= 4 && body() == cols();
  }

  @Override
  int copyStored(int r, int m, float[] out, int off) {
    MemorySegment.copy(data, FLOAT, rowByte(r), out, off, m * cols());
    return cols();
  }

  @Override
  void fourLanes(float[] stored, int at, float[] x, int off, float[] lanes, int to) {
    ScalarStart.four(stored, at, x, off, cols(), lanes, to);
  }

  @Override
  void decode(int r, int from, int to, float[] out, int off) {
    MemorySegment weights = NativeMemory.of(data);
    long row = rowByte(r);
    for (int c = from; c < to; c += L) {
      FloatVector w = FloatVector.fromMemorySegment(F, weights, row + 4L * c, LITTLE);
      w.intoArray(out, off + 4 * (c - from));
    }
  }

  @Override
  void decodeTail(int r, float[] out, int off) {
    MemorySegment.copy(data, FLOAT, rowByte(r) + 4L * body(), out, off, cols() - body());
  }

  @Override
  public void decodeNatural(int r, float[] out, int off) {
    MemorySegment.copy(data, FLOAT, rowByte(r), out, off, cols());
  }
}
