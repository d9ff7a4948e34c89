package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.Bf16;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Products with bfloat16 rows. An int lane holds two weights: shifted left it is the even one as
 * float32, with its low half cleared the odd one. Both go to one sum, the even one first.
 */
final class Bf16Matrix extends Matrix {

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE);
  private static final int TILE_ROWS = 4;
  private static final int HIGH = 0xFFFF0000;

  private final MemorySegment data;

  Bf16Matrix(WeightMatrix source) {
    super(source.rows(), source.cols());
    this.data = source.data();
  }

  @Override
  public Order order() {
    return Order.PAIRS;
  }

  private long rowByte(int r) {
    return (long) r * cols() * Short.BYTES;
  }

  private int body() {
    return cols() - cols() % (2 * L);
  }

  @Override
  float tail(int r, float[] x, int off) {
    long row = rowByte(r);
    float sum = 0;
    for (int c = body(); c < cols(); c++) {
      sum += Bf16.decode(data.get(SHORT, row + 2L * c)) * x[off + c];
    }
    return sum;
  }

  @Override
  float dot(int r, float[] x, int off, float[] lanes) {
    MemorySegment weights = data;
    long row = rowByte(r);
    int body = body();
    FloatVector sum = FloatVector.zero(F);
    for (int c = 0; c < body; c += 2 * L) {
      IntVector pairs = IntVector.fromMemorySegment(I, weights, row + 2L * c, LITTLE);
      FloatVector even = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector odd = pairs.and(HIGH).reinterpretAsFloats();
      sum = even.fma(FloatVector.fromArray(F, x, off + c), sum);
      sum = odd.fma(FloatVector.fromArray(F, x, off + c + L), sum);
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
    FloatVector a0 = FloatVector.zero(F), a1 = a0, a2 = a0, a3 = a0;
    FloatVector b0 = a0, b1 = b0, b2 = b0, b3 = b0;
    FloatVector c0 = a0, c1 = c0, c2 = c0, c3 = c0;
    FloatVector d0 = a0, d1 = d0, d2 = d0, d3 = d0;
    for (int c = 0, end = body(); c < end; c += 2 * L) {
      long w = row + 2L * c;
      IntVector pa = IntVector.fromMemorySegment(I, weights, w, LITTLE);
      IntVector pb = IntVector.fromMemorySegment(I, weights, w + next, LITTLE);
      IntVector pc = IntVector.fromMemorySegment(I, weights, w + 2 * next, LITTLE);
      IntVector pd = IntVector.fromMemorySegment(I, weights, w + 3 * next, LITTLE);
      FloatVector ea = pa.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector eb = pb.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector ec = pc.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector ed = pd.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector u = FloatVector.fromArray(F, x, x0 + c);
      FloatVector v = FloatVector.fromArray(F, x, x0 + c + L);
      a0 = pa.and(HIGH).reinterpretAsFloats().fma(v, ea.fma(u, a0));
      b0 = pb.and(HIGH).reinterpretAsFloats().fma(v, eb.fma(u, b0));
      c0 = pc.and(HIGH).reinterpretAsFloats().fma(v, ec.fma(u, c0));
      d0 = pd.and(HIGH).reinterpretAsFloats().fma(v, ed.fma(u, d0));
      u = FloatVector.fromArray(F, x, x1 + c);
      v = FloatVector.fromArray(F, x, x1 + c + L);
      a1 = pa.and(HIGH).reinterpretAsFloats().fma(v, ea.fma(u, a1));
      b1 = pb.and(HIGH).reinterpretAsFloats().fma(v, eb.fma(u, b1));
      c1 = pc.and(HIGH).reinterpretAsFloats().fma(v, ec.fma(u, c1));
      d1 = pd.and(HIGH).reinterpretAsFloats().fma(v, ed.fma(u, d1));
      u = FloatVector.fromArray(F, x, x2 + c);
      v = FloatVector.fromArray(F, x, x2 + c + L);
      a2 = pa.and(HIGH).reinterpretAsFloats().fma(v, ea.fma(u, a2));
      b2 = pb.and(HIGH).reinterpretAsFloats().fma(v, eb.fma(u, b2));
      c2 = pc.and(HIGH).reinterpretAsFloats().fma(v, ec.fma(u, c2));
      d2 = pd.and(HIGH).reinterpretAsFloats().fma(v, ed.fma(u, d2));
      u = FloatVector.fromArray(F, x, x3 + c);
      v = FloatVector.fromArray(F, x, x3 + c + L);
      a3 = pa.and(HIGH).reinterpretAsFloats().fma(v, ea.fma(u, a3));
      b3 = pb.and(HIGH).reinterpretAsFloats().fma(v, eb.fma(u, b3));
      c3 = pc.and(HIGH).reinterpretAsFloats().fma(v, ec.fma(u, c3));
      d3 = pd.and(HIGH).reinterpretAsFloats().fma(v, ed.fma(u, d3));
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
      FloatVector even = FloatVector.zero(F);
      FloatVector odd = FloatVector.zero(F);
      for (int i = 0; i < n; i++) {
        long at = rowByte(from + i) + 2L * c;
        IntVector pairs = IntVector.fromMemorySegment(I, data, at, LITTLE);
        FloatVector factor = FloatVector.broadcast(F, x[off + i]);
        even = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(factor, even);
        odd = pairs.and(HIGH).reinterpretAsFloats().fma(factor, odd);
      }
      even.rearrange(Lanes.ZIP_LOW, odd).intoArray(out, outOff + c);
      even.rearrange(Lanes.ZIP_HIGH, odd).intoArray(out, outOff + c + L);
    }
    for (int c = body; c < cols(); c++) {
      float sum = 0;
      for (int i = 0; i < n; i++) {
        sum += Bf16.decode(data.get(SHORT, rowByte(from + i) + 2L * c)) * x[off + i];
      }
      out[outOff + c] = sum;
    }
  }
}
