package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.Bf16;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import org.jspecify.annotations.Nullable;

/**
 * Products with bfloat16 rows. An int lane holds two weights: shifted left it is the even one as
 * float32, with its low half cleared the odd one. Both go to one sum, the even one first.
 */
final class Bf16Matrix extends RowMatrix {

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE);
  private static final int HIGH = 0xFFFF0000;

  private final MemorySegment data;

  Bf16Matrix(int rows, int cols, MemorySegment data) {
    super(rows, cols);
    this.data = data;
  }

  @Override
  public Order order() {
    return Order.PAIRS;
  }

  @Override
  public @Nullable MemorySegment bf16Stored() {
    return data.isNative() ? data : null;
  }

  private long rowByte(int r) {
    return (long) r * cols() * Short.BYTES;
  }

  @Override
  int body() {
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
  void four(int r, int step, int last, float[] x, int off, float[] lanes) {
    MemorySegment weights = NativeMemory.of(data);
    int body = body();
    long a = rowByte(r);
    long b = rowByte(Math.min(r + step, last));
    long c = rowByte(Math.min(r + 2 * step, last));
    long d = rowByte(Math.min(r + 3 * step, last));
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    for (int i = 0; i < body; i += 2 * L) {
      FloatVector even = FloatVector.fromArray(F, x, off + i);
      FloatVector odd = FloatVector.fromArray(F, x, off + i + L);
      IntVector pairs = IntVector.fromMemorySegment(I, weights, a + 2L * i, LITTLE);
      s0 = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, s0);
      s0 = pairs.and(HIGH).reinterpretAsFloats().fma(odd, s0);
      pairs = IntVector.fromMemorySegment(I, weights, b + 2L * i, LITTLE);
      s1 = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, s1);
      s1 = pairs.and(HIGH).reinterpretAsFloats().fma(odd, s1);
      pairs = IntVector.fromMemorySegment(I, weights, c + 2L * i, LITTLE);
      s2 = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, s2);
      s2 = pairs.and(HIGH).reinterpretAsFloats().fma(odd, s2);
      pairs = IntVector.fromMemorySegment(I, weights, d + 2L * i, LITTLE);
      s3 = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, s3);
      s3 = pairs.and(HIGH).reinterpretAsFloats().fma(odd, s3);
    }
    s0.intoArray(lanes, 0);
    s1.intoArray(lanes, L);
    s2.intoArray(lanes, 2 * L);
    s3.intoArray(lanes, 3 * L);
  }

  @Override
  boolean hasPairs() {
    return true;
  }

  @Override
  void fourOfTwo(int r, int step, int last, float[] x, int off, int other, float[] lanes) {
    MemorySegment weights = NativeMemory.of(data);
    int body = body();
    long a = rowByte(r);
    long b = rowByte(Math.min(r + step, last));
    long c = rowByte(Math.min(r + 2 * step, last));
    long d = rowByte(Math.min(r + 3 * step, last));
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    FloatVector t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    for (int i = 0; i < body; i += 2 * L) {
      FloatVector even = FloatVector.fromArray(F, x, off + i);
      FloatVector odd = FloatVector.fromArray(F, x, off + i + L);
      FloatVector otherEven = FloatVector.fromArray(F, x, other + i);
      FloatVector otherOdd = FloatVector.fromArray(F, x, other + i + L);
      IntVector pairs = IntVector.fromMemorySegment(I, weights, a + 2L * i, LITTLE);
      FloatVector w = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      s0 = w.fma(even, s0);
      t0 = w.fma(otherEven, t0);
      w = pairs.and(HIGH).reinterpretAsFloats();
      s0 = w.fma(odd, s0);
      t0 = w.fma(otherOdd, t0);
      pairs = IntVector.fromMemorySegment(I, weights, b + 2L * i, LITTLE);
      w = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      s1 = w.fma(even, s1);
      t1 = w.fma(otherEven, t1);
      w = pairs.and(HIGH).reinterpretAsFloats();
      s1 = w.fma(odd, s1);
      t1 = w.fma(otherOdd, t1);
      pairs = IntVector.fromMemorySegment(I, weights, c + 2L * i, LITTLE);
      w = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      s2 = w.fma(even, s2);
      t2 = w.fma(otherEven, t2);
      w = pairs.and(HIGH).reinterpretAsFloats();
      s2 = w.fma(odd, s2);
      t2 = w.fma(otherOdd, t2);
      pairs = IntVector.fromMemorySegment(I, weights, d + 2L * i, LITTLE);
      w = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      s3 = w.fma(even, s3);
      t3 = w.fma(otherEven, t3);
      w = pairs.and(HIGH).reinterpretAsFloats();
      s3 = w.fma(odd, s3);
      t3 = w.fma(otherOdd, t3);
    }
    s0.intoArray(lanes, 0);
    s1.intoArray(lanes, L);
    s2.intoArray(lanes, 2 * L);
    s3.intoArray(lanes, 3 * L);
    t0.intoArray(lanes, 4 * L);
    t1.intoArray(lanes, 5 * L);
    t2.intoArray(lanes, 6 * L);
    t3.intoArray(lanes, 7 * L);
  }

  @Override
  boolean hasScalarRows() {
    return L >= 4 && body() == cols();
  }

  @Override
  int copyStored(int r, int m, float[] out, int off) {
    int len = cols() / 2;
    MemorySegment.copy(data, FLOAT, rowByte(r), out, off, m * len);
    return len;
  }

  @Override
  void fourLanes(float[] stored, int at, float[] x, int off, float[] lanes, int to) {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int cols = cols();
    for (int c = 0, i = at; c < cols; c += 2 * L, i += L) {
      int w0 = Float.floatToRawIntBits(stored[i]);
      int w1 = Float.floatToRawIntBits(stored[i + 1]);
      int w2 = Float.floatToRawIntBits(stored[i + 2]);
      int w3 = Float.floatToRawIntBits(stored[i + 3]);
      int b = off + c;
      s0 = Math.fma(Float.intBitsToFloat(w0 << 16), x[b], s0);
      s1 = Math.fma(Float.intBitsToFloat(w1 << 16), x[b + 1], s1);
      s2 = Math.fma(Float.intBitsToFloat(w2 << 16), x[b + 2], s2);
      s3 = Math.fma(Float.intBitsToFloat(w3 << 16), x[b + 3], s3);
      b += L;
      s0 = Math.fma(Float.intBitsToFloat(w0 & HIGH), x[b], s0);
      s1 = Math.fma(Float.intBitsToFloat(w1 & HIGH), x[b + 1], s1);
      s2 = Math.fma(Float.intBitsToFloat(w2 & HIGH), x[b + 2], s2);
      s3 = Math.fma(Float.intBitsToFloat(w3 & HIGH), x[b + 3], s3);
    }
    lanes[to] = s0;
    lanes[to + 1] = s1;
    lanes[to + 2] = s2;
    lanes[to + 3] = s3;
  }

  @Override
  void decode(int r, int from, int to, float[] out, int off) {
    MemorySegment weights = NativeMemory.of(data);
    long row = rowByte(r);
    for (int c = from; c < to; c += 2 * L) {
      IntVector pairs = IntVector.fromMemorySegment(I, weights, row + 2L * c, LITTLE);
      int at = off + 4 * (c - from);
      pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().intoArray(out, at);
      pairs.and(HIGH).reinterpretAsFloats().intoArray(out, at + 4 * L);
    }
  }

  @Override
  void decodeTail(int r, float[] out, int off) {
    for (int c = body(); c < cols(); c++) {
      out[off + c - body()] = Bf16.decode(data.get(SHORT, rowByte(r) + 2L * c));
    }
  }

  @Override
  public void decodeNatural(int r, float[] out, int off) {
    Bf16Decode.run(data, rowByte(r), out, off, cols());
  }

  @Override
  boolean addsRows() {
    return true;
  }

  @Override
  void toNatural(float[] out, int to) {
    for (int c = to; c < to + cols(); c += 2 * L) {
      FloatVector even = FloatVector.fromArray(F, out, c);
      FloatVector odd = FloatVector.fromArray(F, out, c + L);
      even.rearrange(Lanes.ZIP_LOW, odd).intoArray(out, c);
      even.rearrange(Lanes.ZIP_HIGH, odd).intoArray(out, c + L);
    }
  }

  @Override
  void addFour(int r, float[] x, int off, float[] out, int to) {
    MemorySegment weights = NativeMemory.of(data);
    long at = rowByte(r);
    int cols = cols();
    long row = 2L * cols;
    FloatVector f0 = FloatVector.broadcast(F, x[off]);
    FloatVector f1 = FloatVector.broadcast(F, x[off + 1]);
    FloatVector f2 = FloatVector.broadcast(F, x[off + 2]);
    FloatVector f3 = FloatVector.broadcast(F, x[off + 3]);
    for (int c = 0; c < cols; c += 2 * L) {
      long w = at + 2L * c;
      FloatVector even = FloatVector.fromArray(F, out, to + c);
      FloatVector odd = FloatVector.fromArray(F, out, to + c + L);
      IntVector pairs = IntVector.fromMemorySegment(I, weights, w, LITTLE);
      even = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(f0, even);
      odd = pairs.and(HIGH).reinterpretAsFloats().fma(f0, odd);
      pairs = IntVector.fromMemorySegment(I, weights, w + row, LITTLE);
      even = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(f1, even);
      odd = pairs.and(HIGH).reinterpretAsFloats().fma(f1, odd);
      pairs = IntVector.fromMemorySegment(I, weights, w + 2 * row, LITTLE);
      even = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(f2, even);
      odd = pairs.and(HIGH).reinterpretAsFloats().fma(f2, odd);
      pairs = IntVector.fromMemorySegment(I, weights, w + 3 * row, LITTLE);
      even = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(f3, even);
      odd = pairs.and(HIGH).reinterpretAsFloats().fma(f3, odd);
      even.intoArray(out, to + c);
      odd.intoArray(out, to + c + L);
    }
  }
}
