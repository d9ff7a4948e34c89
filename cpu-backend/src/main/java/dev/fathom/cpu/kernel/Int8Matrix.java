package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import dev.fathom.quant.RowReader;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products of rows of signed bytes, each group of columns with a scale, with float32 activations:
 * integer weights of 8 or 4 bits whose zero points were subtracted, so that the float32 weights are
 * those of {@link WeightMatrix} bit for bit.
 */
final class Int8Matrix extends RowMatrix {

  private static final VectorSpecies<Byte> B =
      L == 16 ? ByteVector.SPECIES_128 : ByteVector.SPECIES_64;

  private final MemorySegment data;
  private final float[] scales;
  private final int groups;
  private final int groupSize;

  private Int8Matrix(
      int rows, int cols, MemorySegment data, float[] scales, int groups, int groupSize) {
    super(rows, cols);
    this.data = data;
    this.scales = scales;
    this.groups = groups;
    this.groupSize = groupSize;
  }

  /** Returns whether differences fit a byte and groups hold whole vectors. */
  static boolean fits(Integers source) {
    boolean whole = source.groups() == 1 || source.groupSize() % L == 0;
    return L >= 8 && whole && (source.bits() == 4 || !source.hasZeros());
  }

  static Int8Matrix of(Integers source, SegmentAllocator allocator) {
    int rows = source.rows();
    int cols = source.cols();
    MemorySegment data = allocator.allocate((long) rows * cols, 64);
    float[] scales = new float[Math.multiplyExact(rows, source.groups())];
    byte[] row = new byte[cols];
    for (int r = 0; r < rows; r++) {
      source.differences(r, row);
      MemorySegment.copy(row, 0, data, ValueLayout.JAVA_BYTE, (long) r * cols, cols);
      for (int g = 0; g < source.groups(); g++) {
        scales[r * source.groups() + g] = source.scale(r, g);
      }
    }
    return new Int8Matrix(rows, cols, data, scales, source.groups(), source.groupSize());
  }

  @Override
  public RowReader reader(WeightMatrix source) {
    return (r, out, off) -> {
      for (int c = 0; c < cols(); c++) {
        out[off + c] = element(r, c);
      }
    };
  }

  @Override
  public Order order() {
    return Order.NATURAL;
  }

  @Override
  int body() {
    return cols() - cols() % L;
  }

  private int groupEnd(int g) {
    return Math.min(body(), g == groups - 1 ? cols() : (g + 1) * groupSize);
  }

  private float element(int r, int c) {
    float scale = scales[r * groups + Math.min(groups - 1, c / groupSize)];
    return data.get(ValueLayout.JAVA_BYTE, (long) r * cols() + c) * scale;
  }

  @Override
  void four(int r, int step, int last, float[] x, int off, float[] lanes) {
    MemorySegment weights = NativeMemory.of(data);
    int cols = cols();
    int rb = Math.min(r + step, last);
    int rc = Math.min(r + 2 * step, last);
    int rd = Math.min(r + 3 * step, last);
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    for (int g = 0, c = 0; g < groups; g++) {
      FloatVector fa = FloatVector.broadcast(F, scales[r * groups + g]);
      FloatVector fb = FloatVector.broadcast(F, scales[rb * groups + g]);
      FloatVector fc = FloatVector.broadcast(F, scales[rc * groups + g]);
      FloatVector fd = FloatVector.broadcast(F, scales[rd * groups + g]);
      for (int end = groupEnd(g); c < end; c += L) {
        FloatVector v = FloatVector.fromArray(F, x, off + c);
        FloatVector w =
            (FloatVector)
                ByteVector.fromMemorySegment(
                        B, weights, (long) r * cols + c, ByteOrder.LITTLE_ENDIAN)
                    .convertShape(VectorOperators.B2F, F, 0);
        s0 = w.mul(fa).fma(v, s0);
        w =
            (FloatVector)
                ByteVector.fromMemorySegment(
                        B, weights, (long) rb * cols + c, ByteOrder.LITTLE_ENDIAN)
                    .convertShape(VectorOperators.B2F, F, 0);
        s1 = w.mul(fb).fma(v, s1);
        w =
            (FloatVector)
                ByteVector.fromMemorySegment(
                        B, weights, (long) rc * cols + c, ByteOrder.LITTLE_ENDIAN)
                    .convertShape(VectorOperators.B2F, F, 0);
        s2 = w.mul(fc).fma(v, s2);
        w =
            (FloatVector)
                ByteVector.fromMemorySegment(
                        B, weights, (long) rd * cols + c, ByteOrder.LITTLE_ENDIAN)
                    .convertShape(VectorOperators.B2F, F, 0);
        s3 = w.mul(fd).fma(v, s3);
      }
    }
    s0.intoArray(lanes, 0);
    s1.intoArray(lanes, L);
    s2.intoArray(lanes, 2 * L);
    s3.intoArray(lanes, 3 * L);
  }

  @Override
  float tail(int r, float[] x, int off) {
    float sum = 0;
    for (int c = body(); c < cols(); c++) {
      sum += element(r, c) * x[off + c];
    }
    return sum;
  }

  @Override
  void decode(int r, int from, int to, float[] out, int off) {
    MemorySegment weights = NativeMemory.of(data);
    long row = (long) r * cols();
    for (int g = 0, c = from; c < to; g++) {
      FloatVector scale = FloatVector.broadcast(F, scales[r * groups + g]);
      for (int end = Math.min(to, groupEnd(g)); c < end; c += L) {
        FloatVector w =
            (FloatVector)
                ByteVector.fromMemorySegment(B, weights, row + c, ByteOrder.LITTLE_ENDIAN)
                    .convertShape(VectorOperators.B2F, F, 0);
        w.mul(scale).intoArray(out, off + 4 * (c - from));
      }
    }
  }

  @Override
  void decodeTail(int r, float[] out, int off) {
    for (int c = body(); c < cols(); c++) {
      out[off + c - body()] = element(r, c);
    }
  }

  @Override
  public void decodeNatural(int r, float[] out, int off) {
    MemorySegment weights = NativeMemory.of(data);
    long row = (long) r * cols();
    for (int g = 0, c = 0; g < groups; g++) {
      FloatVector scale = FloatVector.broadcast(F, scales[r * groups + g]);
      for (int end = groupEnd(g); c < end; c += L) {
        FloatVector w =
            (FloatVector)
                ByteVector.fromMemorySegment(B, weights, row + c, ByteOrder.LITTLE_ENDIAN)
                    .convertShape(VectorOperators.B2F, F, 0);
        w.mul(scale).intoArray(out, off + c);
      }
    }
    for (int c = body(); c < cols(); c++) {
      out[off + c] = element(r, c);
    }
  }

  @Override
  boolean addsRows() {
    return true;
  }

  @Override
  void addFour(int r, float[] x, int off, float[] out, int to) {
    MemorySegment weights = NativeMemory.of(data);
    float[] factors = scales;
    int cols = cols();
    int row = groups;
    long at = (long) r * cols;
    FloatVector f0 = FloatVector.broadcast(F, x[off]);
    FloatVector f1 = FloatVector.broadcast(F, x[off + 1]);
    FloatVector f2 = FloatVector.broadcast(F, x[off + 2]);
    FloatVector f3 = FloatVector.broadcast(F, x[off + 3]);
    int g = r * row;
    int end = groupEnd(0);
    for (int c = 0; c < cols; c += L) {
      if (c == end) {
        g++;
        end = groupEnd(g - r * row);
      }
      FloatVector sum = FloatVector.fromArray(F, out, to + c);
      FloatVector w =
          (FloatVector)
              ByteVector.fromMemorySegment(B, weights, at + c, ByteOrder.LITTLE_ENDIAN)
                  .convertShape(VectorOperators.B2F, F, 0);
      sum = w.mul(factors[g]).fma(f0, sum);
      w =
          (FloatVector)
              ByteVector.fromMemorySegment(B, weights, at + cols + c, ByteOrder.LITTLE_ENDIAN)
                  .convertShape(VectorOperators.B2F, F, 0);
      sum = w.mul(factors[g + row]).fma(f1, sum);
      w =
          (FloatVector)
              ByteVector.fromMemorySegment(B, weights, at + 2L * cols + c, ByteOrder.LITTLE_ENDIAN)
                  .convertShape(VectorOperators.B2F, F, 0);
      sum = w.mul(factors[g + 2 * row]).fma(f2, sum);
      w =
          (FloatVector)
              ByteVector.fromMemorySegment(B, weights, at + 3L * cols + c, ByteOrder.LITTLE_ENDIAN)
                  .convertShape(VectorOperators.B2F, F, 0);
      sum = w.mul(factors[g + 3 * row]).fma(f3, sum);
      sum.intoArray(out, to + c);
    }
  }
}
