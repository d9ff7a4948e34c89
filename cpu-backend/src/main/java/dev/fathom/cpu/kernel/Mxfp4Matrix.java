package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.E2m1;
import dev.fathom.quant.E8m0;
import dev.fathom.quant.Mxfp4Layout;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Products with E2M1 rows and an E8M0 scale for each 32 columns, eight columns to an int lane.
 *
 * <p>A code that is moved to the top of an int, shifted right by 6 with its sign and masked with
 * 0x81C00000 is the float32 of the same sign, exponent field and mantissa: the weight times 2^-126,
 * the subnormal half included. 2^62 of it is given back by the scales, 2^64 by {@link
 * Order#OCTETS}. A matrix with a scale that does not bear that is a {@link DecodedMatrix}.
 */
final class Mxfp4Matrix extends RowMatrix {

  private static final int FLOAT_BITS = 0x81C00000;
  private static final int SCALE_SHARE = 62;
  private static final int EXPONENT_SHIFT = 23;
  private static final int MOST = 254 - SCALE_SHARE;
  private static final float INPUT_SHARE = 0x1p64f;

  /** Moves the scale of a lane's block to the low byte: four lanes are a block. */
  private static final IntVector SHIFTS = shifts();

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(LITTLE);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE);

  private final MemorySegment data;
  private final MemorySegment scales;

  private static IntVector shifts() {
    int[] shifts = new int[L];
    for (int i = 0; i < L; i++) {
      shifts[i] = i / 4 * 8;
    }
    return IntVector.fromArray(I, shifts, 0);
  }

  Mxfp4Matrix(WeightMatrix source) {
    super(source.rows(), source.cols());
    this.data = source.data();
    this.scales = Objects.requireNonNull(source.scales());
  }

  /** Returns whether lanes hold whole blocks and every scale is a number that is not too large. */
  static boolean fits(WeightMatrix source) {
    MemorySegment scales = Objects.requireNonNull(source.scales());
    for (long at = 0; at < scales.byteSize(); at++) {
      if ((scales.get(ValueLayout.JAVA_BYTE, at) & 0xFF) > MOST) {
        return false;
      }
    }
    return L >= 4;
  }

  @Override
  public Order order() {
    return Order.OCTETS;
  }

  @Override
  int body() {
    return cols() - cols() % (8 * L);
  }

  private long rowByte(int r) {
    return (long) r * (cols() / 2);
  }

  private long scaleByte(int r) {
    return (long) r * (cols() / Mxfp4Layout.BLOCK);
  }

  /** Returns the scale bytes of the blocks of a loaded vector, lowest first. */
  private int scaleBytes(long at) {
    return switch (L) {
      case 16 -> scales.get(INT, at);
      case 8 -> scales.get(SHORT, at);
      default -> scales.get(ValueLayout.JAVA_BYTE, at);
    };
  }

  private float element(int r, int c) {
    int pair = data.get(ValueLayout.JAVA_BYTE, rowByte(r) + (c >> 1));
    byte scale = scales.get(ValueLayout.JAVA_BYTE, scaleByte(r) + c / Mxfp4Layout.BLOCK);
    return E2m1.decode(pair >> ((c & 1) << 2)) * E8m0.decode(scale);
  }

  @Override
  void four(int r, int step, int last, float[] x, int off, float[] lanes) {
    for (int k = 0; k < 4; k++) {
      one(Math.min(r + k * step, last), x, off, lanes, k * L);
    }
  }

  private void one(int r, float[] x, int off, float[] lanes, int to) {
    MemorySegment weights = NativeMemory.of(data);
    long row = rowByte(r);
    long scaleRow = scaleByte(r);
    int body = body();
    FloatVector sum = FloatVector.zero(F);
    for (int c = 0; c < body; c += 8 * L) {
      IntVector octets = IntVector.fromMemorySegment(I, weights, row + c / 2, LITTLE);
      FloatVector scale =
          IntVector.broadcast(I, scaleBytes(scaleRow + c / Mxfp4Layout.BLOCK))
              .lanewise(VectorOperators.LSHR, SHIFTS)
              .and(0xFF)
              .add(SCALE_SHARE)
              .lanewise(VectorOperators.LSHL, EXPONENT_SHIFT)
              .reinterpretAsFloats();
      for (int k = 0; k < 8; k++) {
        FloatVector w =
            octets
                .lanewise(VectorOperators.LSHL, 28 - 4 * k)
                .lanewise(VectorOperators.ASHR, 6)
                .and(FLOAT_BITS)
                .reinterpretAsFloats()
                .mul(scale);
        sum = w.fma(FloatVector.fromArray(F, x, off + c + k * L), sum);
      }
    }
    sum.intoArray(lanes, to);
  }

  @Override
  float tail(int r, float[] x, int off) {
    float sum = 0;
    for (int c = body(); c < cols(); c++) {
      sum += element(r, c) / INPUT_SHARE * x[off + c];
    }
    return sum;
  }

  @Override
  void decode(int r, int from, int to, float[] out, int off) {
    MemorySegment weights = NativeMemory.of(data);
    long row = rowByte(r);
    long scaleRow = scaleByte(r);
    for (int c = from; c < to; c += 8 * L) {
      IntVector octets = IntVector.fromMemorySegment(I, weights, row + c / 2, LITTLE);
      FloatVector scale =
          IntVector.broadcast(I, scaleBytes(scaleRow + c / Mxfp4Layout.BLOCK))
              .lanewise(VectorOperators.LSHR, SHIFTS)
              .and(0xFF)
              .add(SCALE_SHARE)
              .lanewise(VectorOperators.LSHL, EXPONENT_SHIFT)
              .reinterpretAsFloats();
      for (int k = 0; k < 8; k++) {
        FloatVector w =
            octets
                .lanewise(VectorOperators.LSHL, 28 - 4 * k)
                .lanewise(VectorOperators.ASHR, 6)
                .and(FLOAT_BITS)
                .reinterpretAsFloats()
                .mul(scale);
        w.intoArray(out, off + 4 * (c - from) + 4 * k * L);
      }
    }
  }

  @Override
  void decodeTail(int r, float[] out, int off) {
    for (int c = body(); c < cols(); c++) {
      out[off + c - body()] = element(r, c) / INPUT_SHARE;
    }
  }

  @Override
  public void decodeNatural(int r, float[] out, int off) {
    for (int c = 0; c < cols(); c++) {
      out[off + c] = element(r, c);
    }
  }
}
