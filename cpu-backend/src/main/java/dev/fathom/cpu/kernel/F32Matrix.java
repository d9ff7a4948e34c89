package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/** Products with float32 rows: two accumulators a vector, taking turns. */
final class F32Matrix extends Matrix {

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

  private float tail(long row, int begin, float[] x, int off) {
    float sum = 0;
    for (int c = begin; c < cols(); c++) {
      sum += data.get(FLOAT, row + 4L * c) * x[off + c];
    }
    return sum;
  }

  @Override
  float dot(int r, float[] x, int off) {
    MemorySegment weights = data;
    long row = rowByte(r);
    int body = cols() - cols() % (2 * L);
    FloatVector even = FloatVector.zero(F);
    FloatVector odd = FloatVector.zero(F);
    for (int c = 0; c < body; c += 2 * L) {
      FloatVector w0 = FloatVector.fromMemorySegment(F, weights, row + 4L * c, LITTLE);
      FloatVector w1 = FloatVector.fromMemorySegment(F, weights, row + 4L * (c + L), LITTLE);
      even = w0.fma(FloatVector.fromArray(F, x, off + c), even);
      odd = w1.fma(FloatVector.fromArray(F, x, off + c + L), odd);
    }
    return Lanes.sum(even.add(odd)) + tail(row, body, x, off);
  }

  @Override
  void dot4(int r, float[] x, int x0, int x1, int x2, int x3, float[] out, int at, int stride) {
    MemorySegment weights = data;
    long row = rowByte(r);
    int body = cols() - cols() % (2 * L);
    FloatVector even0 = FloatVector.zero(F);
    FloatVector even1 = even0;
    FloatVector even2 = even0;
    FloatVector even3 = even0;
    FloatVector odd0 = even0;
    FloatVector odd1 = even0;
    FloatVector odd2 = even0;
    FloatVector odd3 = even0;
    for (int c = 0; c < body; c += 2 * L) {
      FloatVector w0 = FloatVector.fromMemorySegment(F, weights, row + 4L * c, LITTLE);
      FloatVector w1 = FloatVector.fromMemorySegment(F, weights, row + 4L * (c + L), LITTLE);
      even0 = w0.fma(FloatVector.fromArray(F, x, x0 + c), even0);
      odd0 = w1.fma(FloatVector.fromArray(F, x, x0 + c + L), odd0);
      even1 = w0.fma(FloatVector.fromArray(F, x, x1 + c), even1);
      odd1 = w1.fma(FloatVector.fromArray(F, x, x1 + c + L), odd1);
      even2 = w0.fma(FloatVector.fromArray(F, x, x2 + c), even2);
      odd2 = w1.fma(FloatVector.fromArray(F, x, x2 + c + L), odd2);
      even3 = w0.fma(FloatVector.fromArray(F, x, x3 + c), even3);
      odd3 = w1.fma(FloatVector.fromArray(F, x, x3 + c + L), odd3);
    }
    out[at] = Lanes.sum(even0.add(odd0)) + tail(row, body, x, x0);
    out[at + stride] = Lanes.sum(even1.add(odd1)) + tail(row, body, x, x1);
    out[at + 2 * stride] = Lanes.sum(even2.add(odd2)) + tail(row, body, x, x2);
    out[at + 3 * stride] = Lanes.sum(even3.add(odd3)) + tail(row, body, x, x3);
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
