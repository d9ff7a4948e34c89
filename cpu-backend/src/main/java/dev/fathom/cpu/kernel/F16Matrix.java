package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Products with binary16 rows, two to an int lane.
 *
 * <p>The upper half of a lane, shifted right by 3 with its sign and masked with 0x8FFFE000, is the
 * float32 of the same sign, exponent field and mantissa: the weight times 2^-112, subnormals
 * included. 2^48 of it is given back here, 2^64 by {@link Order#HALVES}. Infinities and NaN would
 * become numbers, so a matrix that has one is a {@link DecodedMatrix}.
 */
final class F16Matrix extends RowMatrix {

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE);
  private static final int FLOAT_BITS = 0x8FFFE000;
  private static final float LANE_SHARE = 0x1p48f;
  private static final float INPUT_SHARE = 0x1p64f;
  private static final float WHOLE_SHARE = LANE_SHARE * INPUT_SHARE;
  private static final short EXPONENT = 0x7C00;

  private final MemorySegment data;

  F16Matrix(WeightMatrix source) {
    super(source.rows(), source.cols());
    this.data = source.data();
  }

  /** Returns whether every element is a finite number. */
  static boolean isFinite(MemorySegment stored) {
    MemorySegment data = NativeMemory.of(stored);
    long body = data.byteSize() - data.byteSize() % (4L * L);
    for (long at = 0; at < body; at += 4L * L) {
      IntVector pairs = IntVector.fromMemorySegment(I, data, at, LITTLE);
      // A full exponent carries into the sign when one is added to it.
      IntVector carry = pairs.and(0x7C007C00).add(0x04000400).and(0x80008000);
      if (carry.reduceLanes(VectorOperators.OR) != 0) {
        return false;
      }
    }
    for (long at = body; at < data.byteSize(); at += Short.BYTES) {
      if ((data.get(SHORT, at) & EXPONENT) == EXPONENT) {
        return false;
      }
    }
    return true;
  }

  @Override
  public Order order() {
    return Order.HALVES;
  }

  private long rowByte(int r) {
    return (long) r * cols() * Short.BYTES;
  }

  @Override
  int body() {
    return cols() - cols() % (2 * L);
  }

  /** Returns an element times 2^-64, as the activations want it. */
  private float element(long at) {
    return Float.float16ToFloat(data.get(SHORT, at)) / INPUT_SHARE;
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
      IntVector w =
          pairs
              .lanewise(VectorOperators.LSHL, 16)
              .lanewise(VectorOperators.ASHR, 3)
              .and(FLOAT_BITS);
      s0 = w.reinterpretAsFloats().mul(LANE_SHARE).fma(even, s0);
      w = pairs.lanewise(VectorOperators.ASHR, 3).and(FLOAT_BITS);
      s0 = w.reinterpretAsFloats().mul(LANE_SHARE).fma(odd, s0);
      pairs = IntVector.fromMemorySegment(I, weights, b + 2L * i, LITTLE);
      w =
          pairs
              .lanewise(VectorOperators.LSHL, 16)
              .lanewise(VectorOperators.ASHR, 3)
              .and(FLOAT_BITS);
      s1 = w.reinterpretAsFloats().mul(LANE_SHARE).fma(even, s1);
      w = pairs.lanewise(VectorOperators.ASHR, 3).and(FLOAT_BITS);
      s1 = w.reinterpretAsFloats().mul(LANE_SHARE).fma(odd, s1);
      pairs = IntVector.fromMemorySegment(I, weights, c + 2L * i, LITTLE);
      w =
          pairs
              .lanewise(VectorOperators.LSHL, 16)
              .lanewise(VectorOperators.ASHR, 3)
              .and(FLOAT_BITS);
      s2 = w.reinterpretAsFloats().mul(LANE_SHARE).fma(even, s2);
      w = pairs.lanewise(VectorOperators.ASHR, 3).and(FLOAT_BITS);
      s2 = w.reinterpretAsFloats().mul(LANE_SHARE).fma(odd, s2);
      pairs = IntVector.fromMemorySegment(I, weights, d + 2L * i, LITTLE);
      w =
          pairs
              .lanewise(VectorOperators.LSHL, 16)
              .lanewise(VectorOperators.ASHR, 3)
              .and(FLOAT_BITS);
      s3 = w.reinterpretAsFloats().mul(LANE_SHARE).fma(even, s3);
      w = pairs.lanewise(VectorOperators.ASHR, 3).and(FLOAT_BITS);
      s3 = w.reinterpretAsFloats().mul(LANE_SHARE).fma(odd, s3);
    }
    s0.intoArray(lanes, 0);
    s1.intoArray(lanes, L);
    s2.intoArray(lanes, 2 * L);
    s3.intoArray(lanes, 3 * L);
  }

  @Override
  float tail(int r, float[] x, int off) {
    long row = rowByte(r);
    float sum = 0;
    for (int c = body(); c < cols(); c++) {
      sum += element(row + 2L * c) * x[off + c];
    }
    return sum;
  }

  @Override
  void decode(int r, int from, int to, float[] out, int off) {
    MemorySegment weights = NativeMemory.of(data);
    long row = rowByte(r);
    for (int c = from; c < to; c += 2 * L) {
      IntVector pairs = IntVector.fromMemorySegment(I, weights, row + 2L * c, LITTLE);
      int at = off + 4 * (c - from);
      pairs
          .lanewise(VectorOperators.LSHL, 16)
          .lanewise(VectorOperators.ASHR, 3)
          .and(FLOAT_BITS)
          .reinterpretAsFloats()
          .mul(LANE_SHARE)
          .intoArray(out, at);
      pairs
          .lanewise(VectorOperators.ASHR, 3)
          .and(FLOAT_BITS)
          .reinterpretAsFloats()
          .mul(LANE_SHARE)
          .intoArray(out, at + 4 * L);
    }
  }

  @Override
  void decodeTail(int r, float[] out, int off) {
    for (int c = body(); c < cols(); c++) {
      out[off + c - body()] = element(rowByte(r) + 2L * c);
    }
  }

  @Override
  public void decodeNatural(int r, float[] out, int off) {
    int body = body();
    long row = rowByte(r);
    MemorySegment weights = NativeMemory.of(data);
    for (int c = 0; c < body; c += 2 * L) {
      IntVector pairs = IntVector.fromMemorySegment(I, weights, row + 2L * c, LITTLE);
      FloatVector even =
          pairs
              .lanewise(VectorOperators.LSHL, 16)
              .lanewise(VectorOperators.ASHR, 3)
              .and(FLOAT_BITS)
              .reinterpretAsFloats()
              .mul(WHOLE_SHARE);
      FloatVector odd =
          pairs
              .lanewise(VectorOperators.ASHR, 3)
              .and(FLOAT_BITS)
              .reinterpretAsFloats()
              .mul(WHOLE_SHARE);
      even.rearrange(Lanes.ZIP_LOW, odd).intoArray(out, off + c);
      even.rearrange(Lanes.ZIP_HIGH, odd).intoArray(out, off + c + L);
    }
    for (int c = body; c < cols(); c++) {
      out[off + c] = Float.float16ToFloat(data.get(SHORT, row + 2L * c));
    }
  }
}
