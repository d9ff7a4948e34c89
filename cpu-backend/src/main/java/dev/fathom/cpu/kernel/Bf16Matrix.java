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
 * float32, with its low half cleared the odd one. One accumulator for each.
 */
final class Bf16Matrix extends Matrix {

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE);
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

  private float tail(long row, int begin, float[] x, int off) {
    float sum = 0;
    for (int c = begin; c < cols(); c++) {
      sum += Bf16.decode(data.get(SHORT, row + 2L * c)) * x[off + c];
    }
    return sum;
  }

  private static FloatVector even(IntVector pairs) {
    return pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  private static FloatVector odd(IntVector pairs) {
    return pairs.and(HIGH).reinterpretAsFloats();
  }

  @Override
  float dot(int r, float[] x, int off) {
    MemorySegment weights = data;
    long row = rowByte(r);
    int body = cols() - cols() % (2 * L);
    FloatVector even = FloatVector.zero(F);
    FloatVector odd = FloatVector.zero(F);
    for (int c = 0; c < body; c += 2 * L) {
      IntVector pairs = IntVector.fromMemorySegment(I, weights, row + 2L * c, LITTLE);
      even = even(pairs).fma(FloatVector.fromArray(F, x, off + c), even);
      odd = odd(pairs).fma(FloatVector.fromArray(F, x, off + c + L), odd);
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
      IntVector pairs = IntVector.fromMemorySegment(I, weights, row + 2L * c, LITTLE);
      FloatVector w0 = even(pairs);
      FloatVector w1 = odd(pairs);
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
      FloatVector even = FloatVector.zero(F);
      FloatVector odd = FloatVector.zero(F);
      for (int i = 0; i < n; i++) {
        long at = rowByte(from + i) + 2L * c;
        IntVector pairs = IntVector.fromMemorySegment(I, data, at, LITTLE);
        FloatVector factor = FloatVector.broadcast(F, x[off + i]);
        even = even(pairs).fma(factor, even);
        odd = odd(pairs).fma(factor, odd);
      }
      Lanes.zipLow(even, odd).intoArray(out, outOff + c);
      Lanes.zipHigh(even, odd).intoArray(out, outOff + c + L);
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
