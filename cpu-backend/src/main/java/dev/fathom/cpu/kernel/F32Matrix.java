package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/** Products with float32 rows: one sum in lanes for each row and vector. */
final class F32Matrix extends Matrix {

  private static final int TILE_ROWS = 4;
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

  private int body() {
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
  int tileRows() {
    return TILE_ROWS;
  }

  // Only forced inlining happens in so long a method: a helper would box its vectors.
  @Override
  void tile(int r, float[] x, int x0, int x1, int x2, int x3, float[] lanes) {
    MemorySegment weights = data;
    long row = rowByte(r);
    long next = rowByte(1);
    int body = body();
    FloatVector a0 = FloatVector.zero(F), a1 = a0, a2 = a0, a3 = a0;
    FloatVector b0 = a0, b1 = b0, b2 = b0, b3 = b0;
    FloatVector c0 = a0, c1 = c0, c2 = c0, c3 = c0;
    FloatVector d0 = a0, d1 = d0, d2 = d0, d3 = d0;
    for (int c = 0; c < body; c += L) {
      long w = row + 4L * c;
      FloatVector wa = FloatVector.fromMemorySegment(F, weights, w, LITTLE);
      FloatVector wb = FloatVector.fromMemorySegment(F, weights, w + next, LITTLE);
      FloatVector wc = FloatVector.fromMemorySegment(F, weights, w + 2 * next, LITTLE);
      FloatVector wd = FloatVector.fromMemorySegment(F, weights, w + 3 * next, LITTLE);
      FloatVector u0 = FloatVector.fromArray(F, x, x0 + c);
      a0 = wa.fma(u0, a0);
      b0 = wb.fma(u0, b0);
      c0 = wc.fma(u0, c0);
      d0 = wd.fma(u0, d0);
      FloatVector u1 = FloatVector.fromArray(F, x, x1 + c);
      a1 = wa.fma(u1, a1);
      b1 = wb.fma(u1, b1);
      c1 = wc.fma(u1, c1);
      d1 = wd.fma(u1, d1);
      FloatVector u2 = FloatVector.fromArray(F, x, x2 + c);
      a2 = wa.fma(u2, a2);
      b2 = wb.fma(u2, b2);
      c2 = wc.fma(u2, c2);
      d2 = wd.fma(u2, d2);
      FloatVector u3 = FloatVector.fromArray(F, x, x3 + c);
      a3 = wa.fma(u3, a3);
      b3 = wb.fma(u3, b3);
      c3 = wc.fma(u3, c3);
      d3 = wd.fma(u3, d3);
    }
    a0.intoArray(lanes, 0);
    a1.intoArray(lanes, L);
    a2.intoArray(lanes, 2 * L);
    a3.intoArray(lanes, 3 * L);
    b0.intoArray(lanes, 4 * L);
    b1.intoArray(lanes, 5 * L);
    b2.intoArray(lanes, 6 * L);
    b3.intoArray(lanes, 7 * L);
    c0.intoArray(lanes, 8 * L);
    c1.intoArray(lanes, 9 * L);
    c2.intoArray(lanes, 10 * L);
    c3.intoArray(lanes, 11 * L);
    d0.intoArray(lanes, 12 * L);
    d1.intoArray(lanes, 13 * L);
    d2.intoArray(lanes, 14 * L);
    d3.intoArray(lanes, 15 * L);
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
