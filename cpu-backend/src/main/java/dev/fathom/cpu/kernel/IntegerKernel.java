package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of {@link IntegerPanels}: sums of 8 columns (8 bits) or 32 (4 bits) as exact integers,
 * then their scaled sum in float32, in rising order.
 *
 * <p>Sums in lanes of 16 bits do not overflow: 32 * 8 * 127 and 2 * 128 * 127 are below 2^15. Codes
 * of 4 bits lie as 0 to 15, and what that adds too much is taken away from sums modulo 2^16.
 */
final class IntegerKernel {

  private static final VectorSpecies<Short> S = F.withLanes(short.class);
  private static final int[] LOW_4 = Lanes.filled(0x000F000F);
  private static final int[] LOW_8 = Lanes.filled(0x00FF00FF);
  private static final int[] BIAS_8 = Lanes.filled(0x00800080);
  private static final int[] DOWN_8 = Lanes.filled(0x00080008);

  // A float16 between the sign and the exponent's last bits of a float32, and what is then missing.
  private static final int FLOAT_BITS = 0x8FFFE000;
  private static final float HALF_SHARE = 0x1p112f;

  // Makes the low half of an int a number from 0 on, which takes nothing from the high half.
  private static final int BIAS_16 = 1 << 15;
  private static final int[] TOP_16 = Lanes.filled(BIAS_16);

  private final MemorySegment data;
  private final long stream;
  private final int columns;
  private final int groups;
  private final int blocksOfGroup;

  /**
   * Describes the panels of a matrix.
   *
   * @param data all panels
   * @param stream bytes from a stream to the next
   * @param blocks blocks of 32 columns, the last one filled up
   * @param groups groups of a row
   * @param blocksOfGroup blocks of a group, the last one may have fewer
   */
  IntegerKernel(MemorySegment data, long stream, int blocks, int groups, int blocksOfGroup) {
    this.data = data;
    this.stream = stream;
    this.columns = blocks * Activation.BLOCK;
    this.groups = groups;
    this.blocksOfGroup = blocksOfGroup;
  }

  /**
   * Sums each 8 columns of 4 bits from {@code from} on for one vector: [L], two sums of 16 bits in
   * an int. No sum goes from one turn to the next: the compiler keeps such ones in memory.
   */
  void one4(long at, float[] x, int x0, int from, int end, float[] out, int to) {
    MemorySegment weights = NativeMemory.of(data);
    int target = to;
    IntVector low = IntVector.fromArray(I, LOW_4, 0);
    long next = stream;
    for (int c = from; c < end; c += 8, target += L) {
      long w = at + c / 8 * (4L * L);
      int k = x0 + c;
      IntVector v = IntVector.fromMemorySegment(I, weights, w, LITTLE);
      ShortVector n = v.and(low).reinterpretAsShorts();
      ShortVector sum = n.mul(FloatVector.broadcast(F, x[k]).reinterpretAsShorts());
      n = v.lanewise(VectorOperators.LSHR, 4).and(low).reinterpretAsShorts();
      sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 1]).reinterpretAsShorts()));
      n = v.lanewise(VectorOperators.LSHR, 8).and(low).reinterpretAsShorts();
      sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 2]).reinterpretAsShorts()));
      n = v.lanewise(VectorOperators.LSHR, 12).and(low).reinterpretAsShorts();
      sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 3]).reinterpretAsShorts()));
      v = IntVector.fromMemorySegment(I, weights, w + next, LITTLE);
      n = v.and(low).reinterpretAsShorts();
      sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 4]).reinterpretAsShorts()));
      n = v.lanewise(VectorOperators.LSHR, 4).and(low).reinterpretAsShorts();
      sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 5]).reinterpretAsShorts()));
      n = v.lanewise(VectorOperators.LSHR, 8).and(low).reinterpretAsShorts();
      sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 6]).reinterpretAsShorts()));
      n = v.lanewise(VectorOperators.LSHR, 12).and(low).reinterpretAsShorts();
      sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 7]).reinterpretAsShorts()));
      sum.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target);
    }
  }

  /**
   * Adds the sums of {@link #one4} to those of whole blocks: [block][L].
   *
   * @param first first block
   * @param end end of the blocks
   * @param parts sums of {@code first}
   * @param to where the sums of {@code first} go
   */
  void join4(float[] s, int first, int end, int parts, float[] x, int x0, int to) {
    int tooMuch = x0 + columns + 2 * (columns / Activation.BLOCK);
    for (int b = first, at = parts, target = to; b < end; b++, at += 4 * L, target += L) {
      ShortVector sum = FloatVector.fromArray(F, s, at).reinterpretAsShorts();
      sum = sum.add(FloatVector.fromArray(F, s, at + L).reinterpretAsShorts());
      sum = sum.add(FloatVector.fromArray(F, s, at + 2 * L).reinterpretAsShorts());
      sum = sum.add(FloatVector.fromArray(F, s, at + 3 * L).reinterpretAsShorts());
      sum = sum.sub(FloatVector.broadcast(F, x[tooMuch + b]).reinterpretAsShorts());
      sum.reinterpretAsInts().reinterpretAsFloats().intoArray(s, target);
    }
  }

  /**
   * Joins the sums of {@link #one4} to those of whole blocks and adds them, scaled as {@link
   * #scale4} does without zero points, to s[to, to + 2 L).
   *
   * @param first first block
   * @param end end of the blocks
   * @param parts sums of {@code first}
   * @param halves weight scales as float16: [group][L], two in an int as rows of a step are
   * @param table byte of the scales of group 0
   */
  void add4(
      float[] s,
      int parts,
      int first,
      int end,
      float[] x,
      int x0,
      MemorySegment halves,
      long table,
      int to) {
    MemorySegment scales = NativeMemory.of(halves);
    int factors = x0 + columns;
    int tooMuch = factors + 2 * (columns / Activation.BLOCK);
    FloatVector low = FloatVector.fromArray(F, s, to);
    FloatVector high = FloatVector.fromArray(F, s, to + L);
    for (int b = first, at = parts; b < end; b++, at += 4 * L) {
      ShortVector sum = FloatVector.fromArray(F, s, at).reinterpretAsShorts();
      sum = sum.add(FloatVector.fromArray(F, s, at + L).reinterpretAsShorts());
      sum = sum.add(FloatVector.fromArray(F, s, at + 2 * L).reinterpretAsShorts());
      sum = sum.add(FloatVector.fromArray(F, s, at + 3 * L).reinterpretAsShorts());
      sum = sum.sub(FloatVector.broadcast(F, x[tooMuch + b]).reinterpretAsShorts());
      IntVector both = sum.reinterpretAsInts();
      FloatVector factor = FloatVector.broadcast(F, x[factors + b]);
      long g = table + (b / blocksOfGroup) * (4L * L);
      IntVector pair = IntVector.fromMemorySegment(I, scales, g, LITTLE);
      FloatVector v =
          ((FloatVector)
                  both.lanewise(VectorOperators.LSHL, 16)
                      .lanewise(VectorOperators.ASHR, 16)
                      .convert(VectorOperators.I2F, 0))
              .mul(factor);
      FloatVector scale =
          pair.lanewise(VectorOperators.LSHL, 16)
              .lanewise(VectorOperators.ASHR, 3)
              .and(FLOAT_BITS)
              .reinterpretAsFloats()
              .mul(HALF_SHARE);
      low = v.fma(scale, low);
      v =
          ((FloatVector) both.lanewise(VectorOperators.ASHR, 16).convert(VectorOperators.I2F, 0))
              .mul(factor);
      scale =
          pair.lanewise(VectorOperators.ASHR, 3)
              .and(FLOAT_BITS)
              .reinterpretAsFloats()
              .mul(HALF_SHARE);
      high = v.fma(scale, high);
    }
    low.intoArray(s, to);
    high.intoArray(s, to + L);
  }

  /** Writes groups of float16 scales, which lie as those of {@link #add4}, to out: [group][2 L]. */
  void readHalves(MemorySegment halves, long table, float[] out, int to) {
    MemorySegment scales = NativeMemory.of(halves);
    for (int g = 0; g < groups; g++) {
      IntVector pair = IntVector.fromMemorySegment(I, scales, table + g * (4L * L), LITTLE);
      pair.lanewise(VectorOperators.LSHL, 16)
          .lanewise(VectorOperators.ASHR, 3)
          .and(FLOAT_BITS)
          .reinterpretAsFloats()
          .mul(HALF_SHARE)
          .intoArray(out, to + g * 2 * L);
      pair.lanewise(VectorOperators.ASHR, 3)
          .and(FLOAT_BITS)
          .reinterpretAsFloats()
          .mul(HALF_SHARE)
          .intoArray(out, to + g * 2 * L + L);
    }
  }

  // Only forced inlining happens in so long a method: a helper would box its vectors.
  /**
   * Sums blocks of 4-bit columns for four vectors: [block][4][L], two sums of 16 bits in an int.
   */
  void four4(long at, float[] x, int x0, int x1, int x2, int x3, float[] out, int to) {
    MemorySegment weights = NativeMemory.of(data);
    int tooMuch = columns + 2 * (columns / Activation.BLOCK);
    long next = stream;
    int target = to;
    IntVector low = IntVector.fromArray(I, LOW_4, 0);
    for (int c = 0; c < columns; c += Activation.BLOCK, target += 4 * L) {
      ShortVector s0 = ShortVector.zero(S), s1 = s0, s2 = s0, s3 = s0;
      for (int k = c; k < c + Activation.BLOCK; k += 4) {
        long w = at + IntegerPanels.stepByte(k, 4, next);
        IntVector v = IntVector.fromMemorySegment(I, weights, w, LITTLE);
        for (int i = 0; i < 4; i++) {
          ShortVector n = v.lanewise(VectorOperators.LSHR, 4 * i).and(low).reinterpretAsShorts();
          s0 = s0.add(n.mul(FloatVector.broadcast(F, x[x0 + k + i]).reinterpretAsShorts()));
          s1 = s1.add(n.mul(FloatVector.broadcast(F, x[x1 + k + i]).reinterpretAsShorts()));
          s2 = s2.add(n.mul(FloatVector.broadcast(F, x[x2 + k + i]).reinterpretAsShorts()));
          s3 = s3.add(n.mul(FloatVector.broadcast(F, x[x3 + k + i]).reinterpretAsShorts()));
        }
      }
      int b = tooMuch + c / Activation.BLOCK;
      s0 = s0.sub(FloatVector.broadcast(F, x[x0 + b]).reinterpretAsShorts());
      s1 = s1.sub(FloatVector.broadcast(F, x[x1 + b]).reinterpretAsShorts());
      s2 = s2.sub(FloatVector.broadcast(F, x[x2 + b]).reinterpretAsShorts());
      s3 = s3.sub(FloatVector.broadcast(F, x[x3 + b]).reinterpretAsShorts());
      s0.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target);
      s1.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target + 1 * L);
      s2.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target + 2 * L);
      s3.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target + 3 * L);
    }
  }

  /**
   * Computes s[to, to + 2 L) = sum over blocks of weight scale * (activation scale * sum of the
   * block - zero point * activation sum).
   *
   * @param s sums of the blocks as {@link #join4} leaves them, from s[first] on, each stride after
   *     the one before
   * @param x activation, whose scales begin at {@code scales}
   * @param tables weight scales [group][2 L], then zero points
   */
  void scale4(float[] s, int first, int stride, float[] x, int scales, int tables, int to) {
    int blocks = columns / Activation.BLOCK;
    FloatVector low = FloatVector.zero(F);
    FloatVector high = low;
    int at = first;
    for (int b = 0; b < blocks; b++, at += stride) {
      int table = tables + b / blocksOfGroup * 2 * L;
      FloatVector factor = FloatVector.broadcast(F, x[scales + b]);
      FloatVector sum = FloatVector.broadcast(F, -x[scales + blocks + b]);
      IntVector both = FloatVector.fromArray(F, s, at).reinterpretAsInts();
      FloatVector v =
          both.lanewise(VectorOperators.LSHL, 16)
              .lanewise(VectorOperators.ASHR, 16)
              .convert(VectorOperators.I2F, 0)
              .reinterpretAsFloats()
              .mul(factor);
      FloatVector zero = FloatVector.fromArray(F, s, table + groups * 2 * L);
      low = zero.fma(sum, v).fma(FloatVector.fromArray(F, s, table), low);
      v =
          both.lanewise(VectorOperators.ASHR, 16)
              .convert(VectorOperators.I2F, 0)
              .reinterpretAsFloats()
              .mul(factor);
      zero = FloatVector.fromArray(F, s, table + groups * 2 * L + L);
      high = zero.fma(sum, v).fma(FloatVector.fromArray(F, s, table + L), high);
    }
    low.intoArray(s, to);
    high.intoArray(s, to + L);
  }

  /**
   * Computes s[to, to + 2 L) = sum over groups of weight scale * (sum over 8 columns each of
   * activation scale * sum, less zero point * activation sum of the group), 8 bits, one vector.
   *
   * @param x activation that begins at {@code x0}
   * @param scales weight scales in float32: [group][2 L]
   * @param table byte of the scales of group 0
   * @param zeros where zero points begin in s: [group][2 L], or -1 where all of them are 0
   */
  void one8(
      long at, float[] x, int x0, MemorySegment scales, long table, float[] s, int zeros, int to) {
    MemorySegment factors = NativeMemory.of(scales);
    int columnsOfGroup = blocksOfGroup * Activation.BLOCK;
    int sums = x0 + columns + columns / Activation.BLOCK;
    for (int g = 0; g < groups; g++) {
      int from = g * columnsOfGroup;
      int end = Math.min(columns, from + columnsOfGroup);
      group8(at, x, x0, from, end, s, to);
      if (zeros >= 0) {
        float minus = 0;
        for (int b = from / Activation.BLOCK; b < end / Activation.BLOCK; b++) {
          minus -= x[sums + b];
        }
        zero8(s, to, zeros + g * 2 * L, minus);
      }
      for (int i = 0; i < 2 * L; i += L) {
        FloatVector before = FloatVector.zero(F);
        if (g > 0) {
          before = FloatVector.fromArray(F, s, to + i);
        }
        FloatVector.fromMemorySegment(F, factors, table + (g * 2L * L + i) * Float.BYTES, LITTLE)
            .fma(FloatVector.fromArray(F, s, to + 2 * L + i), before)
            .intoArray(s, to + i);
      }
    }
  }

  /** Takes zero points times the activation sum from a group, which lies at {@code to + 2 L}. */
  private void zero8(float[] s, int to, int zeros, float minus) {
    FloatVector sum = FloatVector.broadcast(F, minus);
    for (int i = 0; i < 2 * L; i += L) {
      FloatVector zero = FloatVector.fromArray(F, s, zeros + i);
      int part = to + 2 * L + i;
      zero.fma(sum, FloatVector.fromArray(F, s, part)).intoArray(s, part);
    }
  }

  /** Writes the sums of columns [from, end) without weight scales to s[to + 2 L, to + 4 L). */
  private void group8(long at, float[] x, int x0, int from, int end, float[] s, int to) {
    MemorySegment weights = NativeMemory.of(data);
    int scales = x0 + columns;
    FloatVector low = FloatVector.zero(F);
    FloatVector up = low;
    IntVector mask = IntVector.fromArray(I, LOW_8, 0);
    IntVector top = IntVector.fromArray(I, TOP_16, 0);
    ShortVector bias = IntVector.fromArray(I, BIAS_8, 0).reinterpretAsShorts();
    ShortVector byteDown = IntVector.fromArray(I, DOWN_8, 0).reinterpretAsShorts();
    long next = stream;
    for (int c = from; c < end; c += 8) {
      long w = at + c / 8 * (4L * L);
      int k = x0 + c;
      IntVector v = IntVector.fromMemorySegment(I, weights, w, LITTLE);
      ShortVector even = v.and(mask).reinterpretAsShorts().sub(bias);
      ShortVector odd = v.reinterpretAsShorts().lanewise(VectorOperators.ASHR, byteDown);
      even = even.mul(FloatVector.broadcast(F, x[k]).reinterpretAsShorts());
      odd = odd.mul(FloatVector.broadcast(F, x[k + 1]).reinterpretAsShorts());
      IntVector both = even.add(odd).reinterpretAsInts().lanewise(VectorOperators.XOR, top);
      IntVector sum = both;
      IntVector high = both.lanewise(VectorOperators.ASHR, 16);
      v = IntVector.fromMemorySegment(I, weights, w + next, LITTLE);
      even = v.and(mask).reinterpretAsShorts().sub(bias);
      odd = v.reinterpretAsShorts().lanewise(VectorOperators.ASHR, byteDown);
      even = even.mul(FloatVector.broadcast(F, x[k + 2]).reinterpretAsShorts());
      odd = odd.mul(FloatVector.broadcast(F, x[k + 3]).reinterpretAsShorts());
      both = even.add(odd).reinterpretAsInts().lanewise(VectorOperators.XOR, top);
      sum = sum.add(both);
      high = high.add(both.lanewise(VectorOperators.ASHR, 16));
      v = IntVector.fromMemorySegment(I, weights, w + 2 * next, LITTLE);
      even = v.and(mask).reinterpretAsShorts().sub(bias);
      odd = v.reinterpretAsShorts().lanewise(VectorOperators.ASHR, byteDown);
      even = even.mul(FloatVector.broadcast(F, x[k + 4]).reinterpretAsShorts());
      odd = odd.mul(FloatVector.broadcast(F, x[k + 5]).reinterpretAsShorts());
      both = even.add(odd).reinterpretAsInts().lanewise(VectorOperators.XOR, top);
      sum = sum.add(both);
      high = high.add(both.lanewise(VectorOperators.ASHR, 16));
      v = IntVector.fromMemorySegment(I, weights, w + 3 * next, LITTLE);
      even = v.and(mask).reinterpretAsShorts().sub(bias);
      odd = v.reinterpretAsShorts().lanewise(VectorOperators.ASHR, byteDown);
      even = even.mul(FloatVector.broadcast(F, x[k + 6]).reinterpretAsShorts());
      odd = odd.mul(FloatVector.broadcast(F, x[k + 7]).reinterpretAsShorts());
      both = even.add(odd).reinterpretAsInts().lanewise(VectorOperators.XOR, top);
      sum = sum.add(both);
      high = high.add(both.lanewise(VectorOperators.ASHR, 16));
      FloatVector factor = FloatVector.broadcast(F, x[scales + c / Activation.BLOCK]);
      // What is left are the low halves, each of the four with its bias.
      sum = sum.sub(high.lanewise(VectorOperators.LSHL, 16)).sub(4 * BIAS_16);
      low = ((FloatVector) sum.convert(VectorOperators.I2F, 0)).fma(factor, low);
      up = ((FloatVector) high.convert(VectorOperators.I2F, 0)).fma(factor, up);
    }
    low.intoArray(s, to + 2 * L);
    up.intoArray(s, to + 3 * L);
  }
}
