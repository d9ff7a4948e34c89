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

  // Only forced inlining happens in so long a method: a helper would box its vectors.
  /** Sums blocks of 4-bit columns for one vector: [block][1][2 L]. */
  void one4(long at, float[] x, int x0, float[] out, int to) {
    MemorySegment weights = data;
    long w = at;
    int target = to;
    for (int c = 0; c < columns; c += Activation.BLOCK, target += 2 * L) {
      ShortVector s0 = ShortVector.zero(S);
      for (int k = c; k < c + Activation.BLOCK; k += 4, w += 4L * L) {
        ShortVector v = IntVector.fromMemorySegment(I, weights, w, LITTLE).reinterpretAsShorts();
        for (int i = 0; i < 4; i++) {
          ShortVector n =
              v.lanewise(VectorOperators.LSHL, 12 - 4 * i).lanewise(VectorOperators.ASHR, 12);
          s0 = s0.add(n.mul(FloatVector.broadcast(F, x[x0 + k + i]).reinterpretAsShorts()));
        }
      }
      s0.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target);
    }
    widen(out, to, target);
  }

  /** Sums blocks of 4-bit columns for four vectors: [block][4][2 L]. */
  void four4(long at, float[] x, int x0, int x1, int x2, int x3, float[] out, int to) {
    MemorySegment weights = data;
    long w = at;
    int target = to;
    for (int c = 0; c < columns; c += Activation.BLOCK, target += 8 * L) {
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
      s1.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target + 2 * L);
      s2.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target + 4 * L);
      s3.reinterpretAsInts().reinterpretAsFloats().intoArray(out, target + 6 * L);
    }
    widen(out, to, target);
  }

  /** Makes 2 L floats of each L ints that hold two sums of 16 bits. */
  private static void widen(float[] sums, int from, int to) {
    for (int at = from; at < to; at += 2 * L) {
      IntVector both = FloatVector.fromArray(F, sums, at).reinterpretAsInts();
      IntVector low = both.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16);
      IntVector high = both.lanewise(VectorOperators.ASHR, 16);
      low.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(sums, at);
      high.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(sums, at + L);
    }
  }

  /** Sums blocks of 8-bit columns for one vector: [block][1][2 L]. */
  void one8(long at, float[] x, int x0, float[] out, int to) {
    MemorySegment weights = data;
    long w = at;
    int target = to;
    for (int c = 0; c < columns; c += Activation.BLOCK) {
      IntVector e0 = IntVector.zero(I);
      IntVector o0 = e0;
      for (int k = c; k < c + Activation.BLOCK; k += 2, w += 4L * L) {
        ShortVector v = IntVector.fromMemorySegment(I, weights, w, LITTLE).reinterpretAsShorts();
        ShortVector w0 = v.lanewise(VectorOperators.LSHL, 8).lanewise(VectorOperators.ASHR, 8);
        ShortVector w1 = v.lanewise(VectorOperators.ASHR, 8);
        ShortVector p = w0.mul(FloatVector.broadcast(F, x[x0 + k]).reinterpretAsShorts());
        p = p.add(w1.mul(FloatVector.broadcast(F, x[x0 + k + 1]).reinterpretAsShorts()));
        IntVector both = p.reinterpretAsInts();
        o0 = o0.add(both.lanewise(VectorOperators.ASHR, 16));
        e0 = e0.add(both.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16));
      }
      e0.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target);
      o0.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 1 * L);
      target += 2 * L;
    }
  }

  /** Sums blocks of 8-bit columns for four vectors: [block][4][2 L]. */
  void four8(long at, float[] x, int x0, int x1, int x2, int x3, float[] out, int to) {
    MemorySegment weights = data;
    long w = at;
    int target = to;
    for (int c = 0; c < columns; c += Activation.BLOCK) {
      IntVector e0 = IntVector.zero(I), e1 = e0, e2 = e0, e3 = e0;
      IntVector o0 = e0, o1 = e0, o2 = e0, o3 = e0;
      for (int k = c; k < c + Activation.BLOCK; k += 2, w += 4L * L) {
        ShortVector v = IntVector.fromMemorySegment(I, weights, w, LITTLE).reinterpretAsShorts();
        ShortVector w0 = v.lanewise(VectorOperators.LSHL, 8).lanewise(VectorOperators.ASHR, 8);
        ShortVector w1 = v.lanewise(VectorOperators.ASHR, 8);
        ShortVector p = w0.mul(FloatVector.broadcast(F, x[x0 + k]).reinterpretAsShorts());
        p = p.add(w1.mul(FloatVector.broadcast(F, x[x0 + k + 1]).reinterpretAsShorts()));
        IntVector both = p.reinterpretAsInts();
        o0 = o0.add(both.lanewise(VectorOperators.ASHR, 16));
        e0 = e0.add(both.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16));
        p = w0.mul(FloatVector.broadcast(F, x[x1 + k]).reinterpretAsShorts());
        p = p.add(w1.mul(FloatVector.broadcast(F, x[x1 + k + 1]).reinterpretAsShorts()));
        both = p.reinterpretAsInts();
        o1 = o1.add(both.lanewise(VectorOperators.ASHR, 16));
        e1 = e1.add(both.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16));
        p = w0.mul(FloatVector.broadcast(F, x[x2 + k]).reinterpretAsShorts());
        p = p.add(w1.mul(FloatVector.broadcast(F, x[x2 + k + 1]).reinterpretAsShorts()));
        both = p.reinterpretAsInts();
        o2 = o2.add(both.lanewise(VectorOperators.ASHR, 16));
        e2 = e2.add(both.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16));
        p = w0.mul(FloatVector.broadcast(F, x[x3 + k]).reinterpretAsShorts());
        p = p.add(w1.mul(FloatVector.broadcast(F, x[x3 + k + 1]).reinterpretAsShorts()));
        both = p.reinterpretAsInts();
        o3 = o3.add(both.lanewise(VectorOperators.ASHR, 16));
        e3 = e3.add(both.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16));
      }
      e0.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target);
      o0.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 1 * L);
      e1.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 2 * L);
      o1.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 3 * L);
      e2.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 4 * L);
      o2.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 5 * L);
      e3.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 6 * L);
      o3.convert(VectorOperators.I2F, 0).reinterpretAsFloats().intoArray(out, target + 7 * L);
      target += 8 * L;
    }
  }

  /**
   * Computes s[to, to + 2 L) = sum over blocks of weight scale * (activation scale * sum of the
   * block - zero point * activation sum).
   *
   * @param s sums of the blocks, from s[first] on, each stride after the one before
   * @param x activation, whose scales begin at {@code scales}
   * @param tables weight scales [group][2 L], then zero points
   */
  void scale(float[] s, int first, int stride, float[] x, int scales, int tables, int to) {
    int blocks = columns / Activation.BLOCK;
    FloatVector low = FloatVector.zero(F);
    FloatVector high = low;
    int at = first;
    int table = tables;
    for (int g = 0, b = 0; g < groups; g++, table += 2 * L) {
      FloatVector scaleLow = FloatVector.fromArray(F, s, table);
      FloatVector scaleHigh = FloatVector.fromArray(F, s, table + L);
      FloatVector zeroLow = FloatVector.fromArray(F, s, table + groups * 2 * L);
      FloatVector zeroHigh = FloatVector.fromArray(F, s, table + groups * 2 * L + L);
      for (int end = Math.min(blocks, (g + 1) * blocksOfGroup); b < end; b++, at += stride) {
        FloatVector factor = FloatVector.broadcast(F, x[scales + b]);
        FloatVector sum = FloatVector.broadcast(F, -x[scales + blocks + b]);
        FloatVector v = FloatVector.fromArray(F, s, at).mul(factor);
        low = zeroLow.fma(sum, v).fma(scaleLow, low);
        v = FloatVector.fromArray(F, s, at + L).mul(factor);
        high = zeroHigh.fma(sum, v).fma(scaleHigh, high);
      }
    }
    low.intoArray(s, to);
    high.intoArray(s, to + L);
  }
}
