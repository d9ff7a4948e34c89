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
 * The loops of {@link IntegerPanels}: sums of 32 columns as exact integers, then their scaled sum.
 *
 * <p>Products of lanes of 16 bits do not overflow: 32 * 8 * 127 and 2 * 128 * 127 are below 2^15.
 */
final class IntegerKernel {

  private static final VectorSpecies<Short> S = F.withLanes(short.class);

  private final MemorySegment data;
  private final int columns;
  private final int groups;
  private final int blocksOfGroup;

  /**
   * Describes the panels of a matrix.
   *
   * @param data all panels
   * @param blocks blocks of 32 columns, the last one filled up
   * @param groups groups of a row
   * @param blocksOfGroup blocks of a group, the last one may have fewer
   */
  IntegerKernel(MemorySegment data, int blocks, int groups, int blocksOfGroup) {
    this.data = data;
    this.columns = blocks * Activation.BLOCK;
    this.groups = groups;
    this.blocksOfGroup = blocksOfGroup;
  }

  /**
   * Sums blocks of 4-bit columns for one vector: [block][L], two sums of 16 bits in an int.
   *
   * <p>One flat loop: an inner one of eight turns would mostly run in its prologue and epilogue.
   */
  void one4(long at, float[] x, int x0, float[] out, int to) {
    MemorySegment weights = data;
    int target = to;
    ShortVector sum = ShortVector.zero(S);
    for (int c = 0; c < columns; c += 8) {
      long w = at + (long) c * L;
      for (int h = 0; h < 2; h++) {
        ShortVector v =
            IntVector.fromMemorySegment(I, weights, w + 4L * L * h, LITTLE).reinterpretAsShorts();
        int k = x0 + c + 4 * h;
        ShortVector n = v.lanewise(VectorOperators.LSHL, 12).lanewise(VectorOperators.ASHR, 12);
        sum = sum.add(n.mul(FloatVector.broadcast(F, x[k]).reinterpretAsShorts()));
        n = v.lanewise(VectorOperators.LSHL, 8).lanewise(VectorOperators.ASHR, 12);
        sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 1]).reinterpretAsShorts()));
        n = v.lanewise(VectorOperators.LSHL, 4).lanewise(VectorOperators.ASHR, 12);
        sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 2]).reinterpretAsShorts()));
        n = v.lanewise(VectorOperators.ASHR, 12);
        sum = sum.add(n.mul(FloatVector.broadcast(F, x[k + 3]).reinterpretAsShorts()));
      }
      if (c % Activation.BLOCK == Activation.BLOCK - 8) {
        sum.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target);
        target += L;
        sum = ShortVector.zero(S);
      }
    }
  }

  // Only forced inlining happens in so long a method: a helper would box its vectors.
  /**
   * Sums blocks of 4-bit columns for four vectors: [block][4][L], two sums of 16 bits in an int.
   */
  void four4(long at, float[] x, int x0, int x1, int x2, int x3, float[] out, int to) {
    MemorySegment weights = data;
    long w = at;
    int target = to;
    for (int c = 0; c < columns; c += Activation.BLOCK, target += 4 * L) {
      ShortVector s0 = ShortVector.zero(S), s1 = s0, s2 = s0, s3 = s0;
      for (int k = c; k < c + Activation.BLOCK; k += 4, w += 4L * L) {
        ShortVector v = IntVector.fromMemorySegment(I, weights, w, LITTLE).reinterpretAsShorts();
        for (int i = 0; i < 4; i++) {
          ShortVector n =
              v.lanewise(VectorOperators.LSHL, 12 - 4 * i).lanewise(VectorOperators.ASHR, 12);
          s0 = s0.add(n.mul(FloatVector.broadcast(F, x[x0 + k + i]).reinterpretAsShorts()));
          s1 = s1.add(n.mul(FloatVector.broadcast(F, x[x1 + k + i]).reinterpretAsShorts()));
          s2 = s2.add(n.mul(FloatVector.broadcast(F, x[x2 + k + i]).reinterpretAsShorts()));
          s3 = s3.add(n.mul(FloatVector.broadcast(F, x[x3 + k + i]).reinterpretAsShorts()));
        }
      }
      s0.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target);
      s1.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target + 1 * L);
      s2.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target + 2 * L);
      s3.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target + 3 * L);
    }
  }

  /** Sums blocks of 8-bit columns for one vector: [block][2 L], blocks stride floats apart. */
  void one8(long at, float[] x, int x0, float[] out, int to, int stride) {
    MemorySegment weights = data;
    int target = to;
    IntVector e0 = IntVector.zero(I), o0 = e0;
    for (int c = 0; c < columns; c += 2) {
      ShortVector v =
          IntVector.fromMemorySegment(I, weights, at + 2L * L * c, LITTLE).reinterpretAsShorts();
      ShortVector w0 = v.lanewise(VectorOperators.LSHL, 8).lanewise(VectorOperators.ASHR, 8);
      ShortVector w1 = v.lanewise(VectorOperators.ASHR, 8);
      ShortVector p = w0.mul(FloatVector.broadcast(F, x[x0 + c]).reinterpretAsShorts());
      p = p.add(w1.mul(FloatVector.broadcast(F, x[x0 + c + 1]).reinterpretAsShorts()));
      IntVector both = p.reinterpretAsInts();
      o0 = o0.add(both.lanewise(VectorOperators.ASHR, 16));
      e0 = e0.add(both.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16));
      if (c % Activation.BLOCK == Activation.BLOCK - 2) {
        e0.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target);
        o0.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + L);
        target += stride;
        e0 = IntVector.zero(I);
        o0 = IntVector.zero(I);
      }
    }
  }

  // Four vectors at once would pass the compiler's limit for a method in some runs: a vector that
  // is not inlined is allocated.
  /** Sums blocks of 8-bit columns for two vectors: [block][2][2 L], blocks stride floats apart. */
  void two8(long at, float[] x, int x0, int x1, float[] out, int to, int stride) {
    MemorySegment weights = data;
    int target = to;
    for (int first = 0; first < columns; first += Activation.BLOCK, target += stride) {
      IntVector e0 = IntVector.zero(I);
      IntVector o0 = e0;
      IntVector e1 = e0;
      IntVector o1 = e0;
      for (int c = first; c < first + Activation.BLOCK; c += 2) {
        ShortVector v =
            IntVector.fromMemorySegment(I, weights, at + 2L * L * c, LITTLE).reinterpretAsShorts();
        ShortVector w0 = v.lanewise(VectorOperators.LSHL, 8).lanewise(VectorOperators.ASHR, 8);
        ShortVector w1 = v.lanewise(VectorOperators.ASHR, 8);
        ShortVector p = w0.mul(FloatVector.broadcast(F, x[x0 + c]).reinterpretAsShorts());
        p = p.add(w1.mul(FloatVector.broadcast(F, x[x0 + c + 1]).reinterpretAsShorts()));
        IntVector both = p.reinterpretAsInts();
        o0 = o0.add(both.lanewise(VectorOperators.ASHR, 16));
        e0 = e0.add(both.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16));
        p = w0.mul(FloatVector.broadcast(F, x[x1 + c]).reinterpretAsShorts());
        p = p.add(w1.mul(FloatVector.broadcast(F, x[x1 + c + 1]).reinterpretAsShorts()));
        both = p.reinterpretAsInts();
        o1 = o1.add(both.lanewise(VectorOperators.ASHR, 16));
        e1 = e1.add(both.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16));
      }
      e0.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target);
      o0.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + L);
      e1.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 2 * L);
      o1.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 3 * L);
    }
  }

  /**
   * Computes s[to, to + 2 L) = sum over blocks of weight scale * (activation scale * sum of the
   * block - zero point * activation sum).
   *
   * @param s sums of the blocks as {@link #one8} leaves them, from s[first] on, each stride after
   *     the one before
   * @param x activation, whose scales begin at {@code scales}
   * @param tables weight scales [group][2 L], then zero points
   */
  void scale8(float[] s, int first, int stride, float[] x, int scales, int tables, int to) {
    int blocks = columns / Activation.BLOCK;
    FloatVector low = FloatVector.zero(F);
    FloatVector high = low;
    int at = first;
    for (int b = 0; b < blocks; b++, at += stride) {
      int table = tables + b / blocksOfGroup * 2 * L;
      FloatVector factor = FloatVector.broadcast(F, x[scales + b]);
      FloatVector sum = FloatVector.broadcast(F, -x[scales + blocks + b]);
      FloatVector v = FloatVector.fromArray(F, s, at).mul(factor);
      FloatVector zero = FloatVector.fromArray(F, s, table + groups * 2 * L);
      low = zero.fma(sum, v).fma(FloatVector.fromArray(F, s, table), low);
      v = FloatVector.fromArray(F, s, at + L).mul(factor);
      zero = FloatVector.fromArray(F, s, table + groups * 2 * L + L);
      high = zero.fma(sum, v).fma(FloatVector.fromArray(F, s, table + L), high);
    }
    low.intoArray(s, to);
    high.intoArray(s, to + L);
  }

  /** As {@link #scale8}, of sums as {@link #one4} leaves them. */
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
}
