package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.Fp8E4m3;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;

/**
 * Products with E4M3 rows and one scale a block.
 *
 * <p>A byte that is moved to the top of an int, shifted right by 4 with its sign and masked with
 * 0x87F00000 is the float32 of the same sign, exponent field and mantissa: the weight times 2^-120,
 * subnormals included. The 2^120 is given back in two parts, by {@link Order#QUADS} and to the sum.
 * NaN codes would become 480, so a matrix that has one is a {@link DecodedMatrix}.
 *
 * <p>The rows of a block share its scales, which therefore go to the vector, once for all of them.
 */
final class Fp8Matrix extends RowMatrix {

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE);
  private static final int FLOAT_BITS = 0x87F00000;
  private static final float SUM_SHARE = 0x1p56f;
  private static final float INPUT_SHARE = 0x1p64f;
  private static final int NAN_CODE = 0x7F;

  private static final int[] MASK = Lanes.filled(FLOAT_BITS);
  private static final int[] UP = Lanes.filled(0x00080008);
  private static final int[] DOWN = Lanes.filled(0x00040004);

  private final MemorySegment data;
  private final float[] scales;
  private final int scaleCols;
  private final int blockRows;
  private final int blockShift;

  private Fp8Matrix(WeightMatrix source, BlockScaleLayout layout, float[] scales) {
    super(source.rows(), source.cols());
    this.data = source.data();
    this.scales = scales;
    this.scaleCols = layout.scaleCols();
    this.blockRows = layout.blockRows();
    this.blockShift = Integer.numberOfTrailingZeros(layout.blockCols());
  }

  static Fp8Matrix of(WeightMatrix source, BlockScaleLayout layout) {
    float[] scales = new float[layout.scaleRows() * layout.scaleCols()];
    MemorySegment.copy(Objects.requireNonNull(source.scales()), FLOAT, 0, scales, 0, scales.length);
    return new Fp8Matrix(source, layout, scales);
  }

  /** Returns whether blocks hold whole chunks, so that a chunk has one scale. */
  static boolean fits(BlockScaleLayout layout) {
    return Integer.bitCount(layout.blockCols()) == 1
        && layout.blockCols() % Order.QUADS.chunk() == 0;
  }

  /** Returns whether a code of the matrix is NaN. */
  static boolean hasNan(WeightMatrix source) {
    MemorySegment data = source.data();
    long body = data.byteSize() - data.byteSize() % Long.BYTES;
    // Eight codes at once from the heap: a model is read before the compiler has seen this.
    long[] chunk = new long[(int) Math.min(body / Long.BYTES, 1 << 12)];
    for (long at = 0; at < body; at += (long) chunk.length * Long.BYTES) {
      int n = (int) Math.min(chunk.length, (body - at) / Long.BYTES);
      MemorySegment.copy(data, ValueLayout.JAVA_LONG_UNALIGNED, at, chunk, 0, n);
      long carries = 0;
      for (int i = 0; i < n; i++) {
        // A magnitude of 0x7F carries into the bit above it when one is added.
        carries |= (chunk[i] & 0x7F7F7F7F7F7F7F7FL) + 0x0101010101010101L;
      }
      if ((carries & 0x8080808080808080L) != 0) {
        return true;
      }
    }
    for (long at = body; at < data.byteSize(); at++) {
      if ((data.get(ValueLayout.JAVA_BYTE, at) & NAN_CODE) == NAN_CODE) {
        return true;
      }
    }
    return false;
  }

  @Override
  public Order order() {
    return Order.QUADS;
  }

  private int scaleRow(int r) {
    return r / blockRows * scaleCols;
  }

  private float code(long at) {
    return Fp8E4m3.decode(data.get(ValueLayout.JAVA_BYTE, at));
  }

  @Override
  int body() {
    return cols() - cols() % (4 * L);
  }

  @Override
  float tail(int r, float[] x, int off) {
    long row = (long) r * cols();
    float sum = 0;
    for (int c = body(); c < cols(); c++) {
      sum += code(row + c) * scales[scaleRow(r) + (c >> blockShift)] * (x[off + c] / INPUT_SHARE);
    }
    return sum;
  }

  @Override
  int endOfFactors(int r) {
    return (r / blockRows + 1) * blockRows;
  }

  @Override
  float sumShare() {
    return SUM_SHARE;
  }

  @Override
  void weigh(int r, float[] x, int off, int from, int end, float[] out, int to, int stride) {
    int row = scaleRow(r);
    for (int c = from; c < end; c += L) {
      FloatVector factor = FloatVector.broadcast(F, scales[row + (c >> blockShift)]);
      FloatVector.fromArray(F, x, off + c).mul(factor).intoArray(out, to + stride * (c - from));
    }
  }

  // The codes of an even and an odd byte are moved in halves of 16 bits, which takes fewer steps.
  @Override
  void four(int r, int step, int last, float[] x, int off, float[] lanes) {
    MemorySegment weights = NativeMemory.of(data);
    long a = (long) r * cols();
    long b = (long) Math.min(r + step, last) * cols();
    long c = (long) Math.min(r + 2 * step, last) * cols();
    long d = (long) Math.min(r + 3 * step, last) * cols();
    int body = body();
    IntVector mask = IntVector.fromArray(I, MASK, 0);
    ShortVector up = IntVector.fromArray(I, UP, 0).reinterpretAsShorts();
    ShortVector down = IntVector.fromArray(I, DOWN, 0).reinterpretAsShorts();
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    for (int i = 0; i < body; i += 4 * L) {
      FloatVector x0 = FloatVector.fromArray(F, x, off + i);
      FloatVector x1 = FloatVector.fromArray(F, x, off + i + L);
      FloatVector x2 = FloatVector.fromArray(F, x, off + i + 2 * L);
      FloatVector x3 = FloatVector.fromArray(F, x, off + i + 3 * L);
      ShortVector q = IntVector.fromMemorySegment(I, weights, a + i, LITTLE).reinterpretAsShorts();
      IntVector even = q.lanewise(LSHL, up).lanewise(ASHR, down).reinterpretAsInts();
      IntVector odd = q.lanewise(ASHR, down).reinterpretAsInts();
      s0 = even.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().fma(x0, s0);
      s0 = odd.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().fma(x1, s0);
      s0 = even.and(mask).reinterpretAsFloats().fma(x2, s0);
      s0 = odd.and(mask).reinterpretAsFloats().fma(x3, s0);
      q = IntVector.fromMemorySegment(I, weights, b + i, LITTLE).reinterpretAsShorts();
      even = q.lanewise(LSHL, up).lanewise(ASHR, down).reinterpretAsInts();
      odd = q.lanewise(ASHR, down).reinterpretAsInts();
      s1 = even.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().fma(x0, s1);
      s1 = odd.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().fma(x1, s1);
      s1 = even.and(mask).reinterpretAsFloats().fma(x2, s1);
      s1 = odd.and(mask).reinterpretAsFloats().fma(x3, s1);
      q = IntVector.fromMemorySegment(I, weights, c + i, LITTLE).reinterpretAsShorts();
      even = q.lanewise(LSHL, up).lanewise(ASHR, down).reinterpretAsInts();
      odd = q.lanewise(ASHR, down).reinterpretAsInts();
      s2 = even.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().fma(x0, s2);
      s2 = odd.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().fma(x1, s2);
      s2 = even.and(mask).reinterpretAsFloats().fma(x2, s2);
      s2 = odd.and(mask).reinterpretAsFloats().fma(x3, s2);
      q = IntVector.fromMemorySegment(I, weights, d + i, LITTLE).reinterpretAsShorts();
      even = q.lanewise(LSHL, up).lanewise(ASHR, down).reinterpretAsInts();
      odd = q.lanewise(ASHR, down).reinterpretAsInts();
      s3 = even.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().fma(x0, s3);
      s3 = odd.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().fma(x1, s3);
      s3 = even.and(mask).reinterpretAsFloats().fma(x2, s3);
      s3 = odd.and(mask).reinterpretAsFloats().fma(x3, s3);
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
  float factor(int r, int c) {
    return scales[scaleRow(r) + (c >> blockShift)];
  }

  /** Returns the weight of a code in the top byte, times 2^-120. */
  private static float code(int top) {
    return Float.intBitsToFloat((top >> 4) & FLOAT_BITS);
  }

  private void decodeScalar(int r, float[] out, int off) {
    int row = scaleRow(r);
    // Quads of codes go to the end of their place and are read before weights overwrite them.
    int len = body() / 4;
    int quads = off + 3 * len;
    MemorySegment.copy(data, FLOAT, (long) r * cols(), out, quads, len);
    for (int i = 0; i < len; i++) {
      int quad = Float.floatToRawIntBits(out[quads + i]);
      float scale = scales[row + ((4 * i) >> blockShift)] * SUM_SHARE;
      int to = off + 4 * i;
      out[to] = code(quad << 24) * scale * INPUT_SHARE;
      out[to + 1] = code(quad << 16) * scale * INPUT_SHARE;
      out[to + 2] = code(quad << 8) * scale * INPUT_SHARE;
      out[to + 3] = code(quad) * scale * INPUT_SHARE;
    }
  }

  @Override
  int copyStored(int r, int m, float[] out, int off) {
    int len = cols() / 4;
    MemorySegment.copy(data, FLOAT, (long) r * cols(), out, off, m * len);
    return len;
  }

  @Override
  void fourLanes(float[] stored, int at, float[] x, int off, float[] lanes, int to) {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int cols = cols();
    for (int c = 0, i = at; c < cols; c += 4 * L, i += L) {
      int w0 = Float.floatToRawIntBits(stored[i]);
      int w1 = Float.floatToRawIntBits(stored[i + 1]);
      int w2 = Float.floatToRawIntBits(stored[i + 2]);
      int w3 = Float.floatToRawIntBits(stored[i + 3]);
      int b = off + c;
      s0 = Math.fma(code(w0 << 24), x[b], s0);
      s1 = Math.fma(code(w1 << 24), x[b + 1], s1);
      s2 = Math.fma(code(w2 << 24), x[b + 2], s2);
      s3 = Math.fma(code(w3 << 24), x[b + 3], s3);
      b += L;
      s0 = Math.fma(code(w0 << 16), x[b], s0);
      s1 = Math.fma(code(w1 << 16), x[b + 1], s1);
      s2 = Math.fma(code(w2 << 16), x[b + 2], s2);
      s3 = Math.fma(code(w3 << 16), x[b + 3], s3);
      b += L;
      s0 = Math.fma(code(w0 << 8), x[b], s0);
      s1 = Math.fma(code(w1 << 8), x[b + 1], s1);
      s2 = Math.fma(code(w2 << 8), x[b + 2], s2);
      s3 = Math.fma(code(w3 << 8), x[b + 3], s3);
      b += L;
      s0 = Math.fma(code(w0), x[b], s0);
      s1 = Math.fma(code(w1), x[b + 1], s1);
      s2 = Math.fma(code(w2), x[b + 2], s2);
      s3 = Math.fma(code(w3), x[b + 3], s3);
    }
    lanes[to] = s0;
    lanes[to + 1] = s1;
    lanes[to + 2] = s2;
    lanes[to + 3] = s3;
  }

  @Override
  void decode(int r, int from, int to, float[] out, int off) {
    MemorySegment weights = NativeMemory.of(data);
    long row = (long) r * cols();
    for (int c = from; c < to; c += 4 * L) {
      IntVector q = IntVector.fromMemorySegment(I, weights, row + c, LITTLE);
      int at = off + 4 * (c - from);
      IntVector w = q.lanewise(LSHL, 24).lanewise(ASHR, 4).and(FLOAT_BITS);
      w.reinterpretAsFloats().intoArray(out, at);
      w = q.lanewise(LSHL, 16).lanewise(ASHR, 4).and(FLOAT_BITS);
      w.reinterpretAsFloats().intoArray(out, at + 4 * L);
      w = q.lanewise(LSHL, 8).lanewise(ASHR, 4).and(FLOAT_BITS);
      w.reinterpretAsFloats().intoArray(out, at + 8 * L);
      w = q.lanewise(ASHR, 4).and(FLOAT_BITS);
      w.reinterpretAsFloats().intoArray(out, at + 12 * L);
    }
  }

  @Override
  void decodeTail(int r, float[] out, int off) {
    int body = body();
    long row = (long) r * cols();
    for (int c = body; c < cols(); c++) {
      out[off + c - body] = code(row + c) * scales[scaleRow(r) + (c >> blockShift)] / INPUT_SHARE;
    }
  }

  @Override
  public void decodeBf16(int from, int to, MemorySegment out, float[] scratch) {
    for (int r = from; r < to; r++) {
      long target = (long) (r - from) * cols() * Short.BYTES;
      decodeBf16(r, out, target);
      int body = body();
      for (int c = body; c < cols(); c++) {
        scratch[c - body] = code((long) r * cols() + c) * scales[scaleRow(r) + (c >> blockShift)];
      }
      Bf16Round.run(scratch, 0, out, target + 2L * body, cols() - body);
    }
  }

  private void decodeBf16(int r, MemorySegment to, long target) {
    MemorySegment weights = NativeMemory.of(data);
    MemorySegment out = NativeMemory.of(to);
    float[] factors = scales;
    int row = scaleRow(r);
    int shift = blockShift;
    long source = (long) r * cols();
    int body = body();
    for (int c = 0; c < body; c += 4 * L) {
      // In two steps: 2^120 times a scale may leave the range.
      FloatVector scale = FloatVector.broadcast(F, factors[row + (c >> shift)] * SUM_SHARE);
      FloatVector share = FloatVector.broadcast(F, INPUT_SHARE);
      IntVector q = IntVector.fromMemorySegment(I, weights, source + c, LITTLE);
      IntVector w = q.lanewise(LSHL, 24).lanewise(ASHR, 4).and(FLOAT_BITS);
      w = w.reinterpretAsFloats().mul(share).mul(scale).reinterpretAsInts().add(Bf16Round.HALF);
      IntVector low = w.lanewise(LSHR, 16);
      w = q.lanewise(LSHL, 16).lanewise(ASHR, 4).and(FLOAT_BITS);
      w = w.reinterpretAsFloats().mul(share).mul(scale).reinterpretAsInts().add(Bf16Round.HALF);
      low = low.or(w.and(Bf16Round.HIGH));
      w = q.lanewise(LSHL, 8).lanewise(ASHR, 4).and(FLOAT_BITS);
      w = w.reinterpretAsFloats().mul(share).mul(scale).reinterpretAsInts().add(Bf16Round.HALF);
      IntVector high = w.lanewise(LSHR, 16);
      w = q.lanewise(ASHR, 4).and(FLOAT_BITS);
      w = w.reinterpretAsFloats().mul(share).mul(scale).reinterpretAsInts().add(Bf16Round.HALF);
      high = high.or(w.and(Bf16Round.HIGH));
      FloatVector a = low.reinterpretAsFloats();
      FloatVector b = high.reinterpretAsFloats();
      long at = target + 2L * c;
      a.rearrange(Lanes.ZIP_LOW, b).reinterpretAsInts().intoMemorySegment(out, at, LITTLE);
      a.rearrange(Lanes.ZIP_HIGH, b)
          .reinterpretAsInts()
          .intoMemorySegment(out, at + 4L * L, LITTLE);
    }
  }

  @Override
  public void decodeNatural(int r, float[] out, int off) {
    int body = body();
    int scaleRow = scaleRow(r);
    long row = (long) r * cols();
    MemorySegment weights = NativeMemory.of(data);
    if (ScalarStart.isOn()) {
      decodeScalar(r, out, off);
      body = 0;
    }
    for (int c = 0; c < body; c += 4 * L) {
      IntVector q = IntVector.fromMemorySegment(I, weights, row + c, LITTLE);
      FloatVector f0 = q.lanewise(LSHL, 24).lanewise(ASHR, 4).and(FLOAT_BITS).reinterpretAsFloats();
      FloatVector f1 = q.lanewise(LSHL, 16).lanewise(ASHR, 4).and(FLOAT_BITS).reinterpretAsFloats();
      FloatVector f2 = q.lanewise(LSHL, 8).lanewise(ASHR, 4).and(FLOAT_BITS).reinterpretAsFloats();
      FloatVector f3 = q.lanewise(ASHR, 4).and(FLOAT_BITS).reinterpretAsFloats();
      // In two steps: 2^120 times a scale may leave the range.
      float scale = scales[scaleRow + (c >> blockShift)] * SUM_SHARE;
      FloatVector even = f0.rearrange(Lanes.ZIP_LOW, f2).mul(scale).mul(INPUT_SHARE);
      FloatVector odd = f1.rearrange(Lanes.ZIP_LOW, f3).mul(scale).mul(INPUT_SHARE);
      even.rearrange(Lanes.ZIP_LOW, odd).intoArray(out, off + c);
      even.rearrange(Lanes.ZIP_HIGH, odd).intoArray(out, off + c + L);
      even = f0.rearrange(Lanes.ZIP_HIGH, f2).mul(scale).mul(INPUT_SHARE);
      odd = f1.rearrange(Lanes.ZIP_HIGH, f3).mul(scale).mul(INPUT_SHARE);
      even.rearrange(Lanes.ZIP_LOW, odd).intoArray(out, off + c + 2 * L);
      even.rearrange(Lanes.ZIP_HIGH, odd).intoArray(out, off + c + 3 * L);
    }
    for (int c = body(); c < cols(); c++) {
      out[off + c] = code(row + c) * scales[scaleRow + (c >> blockShift)];
    }
  }

  @Override
  boolean addsRows() {
    return true;
  }

  @Override
  void addFour(int r, float[] x, int off, float[] out, int to) {
    addTwo(r, x, off, out, to);
    addTwo(r + 2, x, off + 2, out, to);
  }

  @Override
  void toNatural(float[] out, int to) {
    for (int c = to; c < to + cols(); c += 4 * L) {
      FloatVector s0 = FloatVector.fromArray(F, out, c);
      FloatVector s1 = FloatVector.fromArray(F, out, c + L);
      FloatVector s2 = FloatVector.fromArray(F, out, c + 2 * L);
      FloatVector s3 = FloatVector.fromArray(F, out, c + 3 * L);
      FloatVector even = s0.rearrange(Lanes.ZIP_LOW, s2);
      FloatVector odd = s1.rearrange(Lanes.ZIP_LOW, s3);
      even.rearrange(Lanes.ZIP_LOW, odd).intoArray(out, c);
      even.rearrange(Lanes.ZIP_HIGH, odd).intoArray(out, c + L);
      even = s0.rearrange(Lanes.ZIP_HIGH, s2);
      odd = s1.rearrange(Lanes.ZIP_HIGH, s3);
      even.rearrange(Lanes.ZIP_LOW, odd).intoArray(out, c + 2 * L);
      even.rearrange(Lanes.ZIP_HIGH, odd).intoArray(out, c + 3 * L);
    }
  }

  /** Adds rows r and r + 1, each fourth column apart, as {@link #decodeNatural} decodes them. */
  private void addTwo(int r, float[] x, int off, float[] out, int to) {
    MemorySegment weights = NativeMemory.of(data);
    float[] factors = scales;
    int shift = blockShift;
    int cols = cols();
    long at = (long) r * cols;
    int row0 = scaleRow(r);
    int row1 = scaleRow(r + 1);
    IntVector mask = IntVector.fromArray(I, MASK, 0);
    ShortVector up = IntVector.fromArray(I, UP, 0).reinterpretAsShorts();
    ShortVector down = IntVector.fromArray(I, DOWN, 0).reinterpretAsShorts();
    // A product of three has these bits in either order: the third is a power of two.
    FloatVector f0 = FloatVector.broadcast(F, x[off] * INPUT_SHARE);
    FloatVector f1 = FloatVector.broadcast(F, x[off + 1] * INPUT_SHARE);
    for (int c = 0; c < cols; c += 4 * L) {
      int o = to + c;
      FloatVector s0 = FloatVector.fromArray(F, out, o);
      FloatVector s1 = FloatVector.fromArray(F, out, o + L);
      FloatVector s2 = FloatVector.fromArray(F, out, o + 2 * L);
      FloatVector s3 = FloatVector.fromArray(F, out, o + 3 * L);
      ShortVector q = IntVector.fromMemorySegment(I, weights, at + c, LITTLE).reinterpretAsShorts();
      FloatVector scale = FloatVector.broadcast(F, factors[row0 + (c >> shift)] * SUM_SHARE);
      IntVector even = q.lanewise(LSHL, up).lanewise(ASHR, down).reinterpretAsInts();
      IntVector odd = q.lanewise(ASHR, down).reinterpretAsInts();
      s0 = even.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().mul(scale).fma(f0, s0);
      s1 = odd.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().mul(scale).fma(f0, s1);
      s2 = even.and(mask).reinterpretAsFloats().mul(scale).fma(f0, s2);
      s3 = odd.and(mask).reinterpretAsFloats().mul(scale).fma(f0, s3);
      q = IntVector.fromMemorySegment(I, weights, at + cols + c, LITTLE).reinterpretAsShorts();
      scale = FloatVector.broadcast(F, factors[row1 + (c >> shift)] * SUM_SHARE);
      even = q.lanewise(LSHL, up).lanewise(ASHR, down).reinterpretAsInts();
      odd = q.lanewise(ASHR, down).reinterpretAsInts();
      s0 = even.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().mul(scale).fma(f1, s0);
      s1 = odd.lanewise(LSHL, 16).and(mask).reinterpretAsFloats().mul(scale).fma(f1, s1);
      s2 = even.and(mask).reinterpretAsFloats().mul(scale).fma(f1, s2);
      s3 = odd.and(mask).reinterpretAsFloats().mul(scale).fma(f1, s3);
      s0.intoArray(out, o);
      s1.intoArray(out, o + L);
      s2.intoArray(out, o + 2 * L);
      s3.intoArray(out, o + 3 * L);
    }
  }
}
