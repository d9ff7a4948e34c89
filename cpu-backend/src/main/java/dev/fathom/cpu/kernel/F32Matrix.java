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

  private float tail(int r, float[] x, int off) {
    long row = rowByte(r);
    float sum = 0;
    for (int c = body(); c < cols(); c++) {
      sum += data.get(FLOAT, row + 4L * c) * x[off + c];
    }
    return sum;
  }

  @Override
  float dot(int r, float[] x, int off, float[] lanes) {
    MemorySegment weights = data;
    long row = rowByte(r);
    int body = body();
    FloatVector sum = FloatVector.zero(F);
    for (int c = 0; c < body; c += L) {
      FloatVector w = FloatVector.fromMemorySegment(F, weights, row + 4L * c, LITTLE);
      sum = w.fma(FloatVector.fromArray(F, x, off + c), sum);
    }
    sum.intoArray(lanes, 0);
    return Lanes.sum(lanes, 0) + tail(r, x, off);
  }

  @Override
  void decode(int r, float[] out, int off, int tail) {
    MemorySegment weights = data;
    long row = rowByte(r);
    int body = body();
    for (int c = 0; c < body; c += L) {
      FloatVector w = FloatVector.fromMemorySegment(F, weights, row + 4L * c, LITTLE);
      w.intoArray(out, off + 4 * c);
    }
    MemorySegment.copy(data, FLOAT, row + 4L * body, out, tail, cols() - body);
  }

  @Override
  public void multiplyTransposed(int from, int n, float[] x, int off, float[] out, int outOff) {
    int body = cols() - cols() % (2 * L);
    for (int c = 0; c < body; c += 2 * L) {
      FloatVector low = FloatVector.zero(F);
      FloatVector high = FloatVector.zero(F);
      for (int i = 0; i < n; i++) {
        long at = rowByte(from + i) + 4L * c;
        FloatVector factor = FloatVector.broadcast(F, x[off + i]);
        low = FloatVector.fromMemorySegment(F, data, at, LITTLE).fma(factor, low);
        high = FloatVector.fromMemorySegment(F, data, at + 4L * L, LITTLE).fma(factor, high);
      }
      low.intoArray(out, outOff + c);
      high.intoArray(out, outOff + c + L);
    }
    for (int c = body; c < cols(); c++) {
      float sum = 0;
      for (int i = 0; i < n; i++) {
        sum += data.get(FLOAT, rowByte(from + i) + 4L * c) * x[off + i];
      }
      out[outOff + c] = sum;
    }
  }
}
