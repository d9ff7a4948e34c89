package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Inner loops of {@link Bf16Panels}: products of units, 2 L rows of a panel, with some columns of
 * one or several vectors, which are added to sums in memory.
 *
 * <p>A lane is a row. Its sum over the columns of a call is one chain in rising order; each loop
 * keeps as many chains as it takes to hide the latency of an addition, eight or more. Elements of
 * vectors are broadcast rather than loaded: while memory streams in, a load of a whole register
 * that finds its line in the first cache holds up the lines on their way, which a load of four
 * bytes does not (decision 0061).
 */
final class Bf16Kernel {

  /** Bytes from a pair of columns of a panel to the next. */
  static final int PAIR = Bf16Panels.P * Integer.BYTES;

  private static final int HIGH = 0xFFFF0000;
  private static final int VECTOR = 4 * L;

  private Bf16Kernel() {}

  /**
   * Adds the products of four units with a vector to sums[k * 2 L].
   *
   * @param a byte where the columns of the first unit begin; and so on
   * @param x the vector, whose element for the first column is x[off]
   * @param len columns, an even number
   */
  static void one(
      MemorySegment data,
      long a,
      long b,
      long c,
      long d,
      float[] x,
      int off,
      int len,
      float[] sums) {
    MemorySegment weights = NativeMemory.of(data);
    FloatVector a0 = FloatVector.zero(F), a1 = a0, b0 = a0, b1 = a0;
    FloatVector c0 = a0, c1 = a0, d0 = a0, d1 = a0;
    for (int i = 0; i < len; i += 2) {
      long at = (long) PAIR / 2 * i;
      FloatVector even = FloatVector.broadcast(F, x[off + i]);
      FloatVector odd = FloatVector.broadcast(F, x[off + i + 1]);
      IntVector w = IntVector.fromMemorySegment(I, weights, a + at, LITTLE);
      a0 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, a0);
      a0 = w.and(HIGH).reinterpretAsFloats().fma(odd, a0);
      w = IntVector.fromMemorySegment(I, weights, a + at + VECTOR, LITTLE);
      a1 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, a1);
      a1 = w.and(HIGH).reinterpretAsFloats().fma(odd, a1);
      w = IntVector.fromMemorySegment(I, weights, b + at, LITTLE);
      b0 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, b0);
      b0 = w.and(HIGH).reinterpretAsFloats().fma(odd, b0);
      w = IntVector.fromMemorySegment(I, weights, b + at + VECTOR, LITTLE);
      b1 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, b1);
      b1 = w.and(HIGH).reinterpretAsFloats().fma(odd, b1);
      w = IntVector.fromMemorySegment(I, weights, c + at, LITTLE);
      c0 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, c0);
      c0 = w.and(HIGH).reinterpretAsFloats().fma(odd, c0);
      w = IntVector.fromMemorySegment(I, weights, c + at + VECTOR, LITTLE);
      c1 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, c1);
      c1 = w.and(HIGH).reinterpretAsFloats().fma(odd, c1);
      w = IntVector.fromMemorySegment(I, weights, d + at, LITTLE);
      d0 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, d0);
      d0 = w.and(HIGH).reinterpretAsFloats().fma(odd, d0);
      w = IntVector.fromMemorySegment(I, weights, d + at + VECTOR, LITTLE);
      d1 = w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().fma(even, d1);
      d1 = w.and(HIGH).reinterpretAsFloats().fma(odd, d1);
    }
    FloatVector.fromArray(F, sums, 0).add(a0).intoArray(sums, 0);
    FloatVector.fromArray(F, sums, L).add(a1).intoArray(sums, L);
    FloatVector.fromArray(F, sums, 2 * L).add(b0).intoArray(sums, 2 * L);
    FloatVector.fromArray(F, sums, 3 * L).add(b1).intoArray(sums, 3 * L);
    FloatVector.fromArray(F, sums, 4 * L).add(c0).intoArray(sums, 4 * L);
    FloatVector.fromArray(F, sums, 5 * L).add(c1).intoArray(sums, 5 * L);
    FloatVector.fromArray(F, sums, 6 * L).add(d0).intoArray(sums, 6 * L);
    FloatVector.fromArray(F, sums, 7 * L).add(d1).intoArray(sums, 7 * L);
  }

  /**
   * Adds the products of two units with two vectors to sums[k * 2 L] of the first one and sums[(2 +
   * k) * 2 L] of the second one.
   *
   * @param other where the second vector begins, as the first one does at off
   */
  static void two(
      MemorySegment data, long a, long b, float[] x, int off, int other, int len, float[] sums) {
    MemorySegment weights = NativeMemory.of(data);
    FloatVector a0 = FloatVector.zero(F), a1 = a0, b0 = a0, b1 = a0;
    FloatVector c0 = a0, c1 = a0, d0 = a0, d1 = a0;
    for (int i = 0; i < len; i += 2) {
      long at = (long) PAIR / 2 * i;
      FloatVector even = FloatVector.broadcast(F, x[off + i]);
      FloatVector odd = FloatVector.broadcast(F, x[off + i + 1]);
      FloatVector otherEven = FloatVector.broadcast(F, x[other + i]);
      FloatVector otherOdd = FloatVector.broadcast(F, x[other + i + 1]);
      IntVector pairs = IntVector.fromMemorySegment(I, weights, a + at, LITTLE);
      FloatVector w = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      a0 = w.fma(even, a0);
      c0 = w.fma(otherEven, c0);
      w = pairs.and(HIGH).reinterpretAsFloats();
      a0 = w.fma(odd, a0);
      c0 = w.fma(otherOdd, c0);
      pairs = IntVector.fromMemorySegment(I, weights, a + at + VECTOR, LITTLE);
      w = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      a1 = w.fma(even, a1);
      c1 = w.fma(otherEven, c1);
      w = pairs.and(HIGH).reinterpretAsFloats();
      a1 = w.fma(odd, a1);
      c1 = w.fma(otherOdd, c1);
      pairs = IntVector.fromMemorySegment(I, weights, b + at, LITTLE);
      w = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      b0 = w.fma(even, b0);
      d0 = w.fma(otherEven, d0);
      w = pairs.and(HIGH).reinterpretAsFloats();
      b0 = w.fma(odd, b0);
      d0 = w.fma(otherOdd, d0);
      pairs = IntVector.fromMemorySegment(I, weights, b + at + VECTOR, LITTLE);
      w = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      b1 = w.fma(even, b1);
      d1 = w.fma(otherEven, d1);
      w = pairs.and(HIGH).reinterpretAsFloats();
      b1 = w.fma(odd, b1);
      d1 = w.fma(otherOdd, d1);
    }
    FloatVector.fromArray(F, sums, 0).add(a0).intoArray(sums, 0);
    FloatVector.fromArray(F, sums, L).add(a1).intoArray(sums, L);
    FloatVector.fromArray(F, sums, 2 * L).add(b0).intoArray(sums, 2 * L);
    FloatVector.fromArray(F, sums, 3 * L).add(b1).intoArray(sums, 3 * L);
    FloatVector.fromArray(F, sums, 4 * L).add(c0).intoArray(sums, 4 * L);
    FloatVector.fromArray(F, sums, 5 * L).add(c1).intoArray(sums, 5 * L);
    FloatVector.fromArray(F, sums, 6 * L).add(d0).intoArray(sums, 6 * L);
    FloatVector.fromArray(F, sums, 7 * L).add(d1).intoArray(sums, 7 * L);
  }

  /**
   * Adds the products of a unit with four packed vectors to sums[to + k * P], 2 L floats each.
   *
   * @param at byte where the columns of the unit begin
   * @param x column by column, four vectors together, from x[off] on
   */
  static void four(MemorySegment data, long at, float[] x, int off, int len, float[] sums, int to) {
    MemorySegment weights = NativeMemory.of(data);
    FloatVector a0 = FloatVector.zero(F), a1 = a0, b0 = a0, b1 = a0;
    FloatVector c0 = a0, c1 = a0, d0 = a0, d1 = a0;
    for (int i = 0; i < len; i += 2) {
      long w = at + (long) PAIR / 2 * i;
      int v = off + 4 * i;
      IntVector first = IntVector.fromMemorySegment(I, weights, w, LITTLE);
      IntVector second = IntVector.fromMemorySegment(I, weights, w + VECTOR, LITTLE);
      FloatVector p = first.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector q = second.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector e = FloatVector.broadcast(F, x[v]);
      a0 = p.fma(e, a0);
      a1 = q.fma(e, a1);
      e = FloatVector.broadcast(F, x[v + 1]);
      b0 = p.fma(e, b0);
      b1 = q.fma(e, b1);
      e = FloatVector.broadcast(F, x[v + 2]);
      c0 = p.fma(e, c0);
      c1 = q.fma(e, c1);
      e = FloatVector.broadcast(F, x[v + 3]);
      d0 = p.fma(e, d0);
      d1 = q.fma(e, d1);
      p = first.and(HIGH).reinterpretAsFloats();
      q = second.and(HIGH).reinterpretAsFloats();
      e = FloatVector.broadcast(F, x[v + 4]);
      a0 = p.fma(e, a0);
      a1 = q.fma(e, a1);
      e = FloatVector.broadcast(F, x[v + 5]);
      b0 = p.fma(e, b0);
      b1 = q.fma(e, b1);
      e = FloatVector.broadcast(F, x[v + 6]);
      c0 = p.fma(e, c0);
      c1 = q.fma(e, c1);
      e = FloatVector.broadcast(F, x[v + 7]);
      d0 = p.fma(e, d0);
      d1 = q.fma(e, d1);
    }
    int s = to;
    FloatVector.fromArray(F, sums, s).add(a0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(a1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(b0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(b1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(c0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(c1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(d0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(d1).intoArray(sums, s + L);
  }

  /**
   * {@link #four} with eight packed vectors: sixteen sums, which the registers of AVX-512 hold
   * beside weights and elements. Both columns of a pair are loaded for themselves, which costs
   * nothing beside so many products.
   */
  static void eight(
      MemorySegment data, long at, float[] x, int off, int len, float[] sums, int to) {
    MemorySegment weights = NativeMemory.of(data);
    FloatVector a0 = FloatVector.zero(F), a1 = a0, b0 = a0, b1 = a0;
    FloatVector c0 = a0, c1 = a0, d0 = a0, d1 = a0;
    FloatVector e0 = a0, e1 = a0, f0 = a0, f1 = a0;
    FloatVector g0 = a0, g1 = a0, h0 = a0, h1 = a0;
    for (int i = 0, v = off; i < len; i++, v += 8) {
      long w = at + (long) PAIR * (i >> 1);
      int shift = (~i & 1) << 4;
      IntVector pairs = IntVector.fromMemorySegment(I, weights, w, LITTLE);
      FloatVector p = pairs.lanewise(VectorOperators.LSHL, shift).and(HIGH).reinterpretAsFloats();
      pairs = IntVector.fromMemorySegment(I, weights, w + VECTOR, LITTLE);
      FloatVector q = pairs.lanewise(VectorOperators.LSHL, shift).and(HIGH).reinterpretAsFloats();
      a0 = p.fma(FloatVector.broadcast(F, x[v]), a0);
      a1 = q.fma(FloatVector.broadcast(F, x[v]), a1);
      b0 = p.fma(FloatVector.broadcast(F, x[v + 1]), b0);
      b1 = q.fma(FloatVector.broadcast(F, x[v + 1]), b1);
      c0 = p.fma(FloatVector.broadcast(F, x[v + 2]), c0);
      c1 = q.fma(FloatVector.broadcast(F, x[v + 2]), c1);
      d0 = p.fma(FloatVector.broadcast(F, x[v + 3]), d0);
      d1 = q.fma(FloatVector.broadcast(F, x[v + 3]), d1);
      e0 = p.fma(FloatVector.broadcast(F, x[v + 4]), e0);
      e1 = q.fma(FloatVector.broadcast(F, x[v + 4]), e1);
      f0 = p.fma(FloatVector.broadcast(F, x[v + 5]), f0);
      f1 = q.fma(FloatVector.broadcast(F, x[v + 5]), f1);
      g0 = p.fma(FloatVector.broadcast(F, x[v + 6]), g0);
      g1 = q.fma(FloatVector.broadcast(F, x[v + 6]), g1);
      h0 = p.fma(FloatVector.broadcast(F, x[v + 7]), h0);
      h1 = q.fma(FloatVector.broadcast(F, x[v + 7]), h1);
    }
    int s = to;
    FloatVector.fromArray(F, sums, s).add(a0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(a1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(b0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(b1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(c0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(c1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(d0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(d1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(e0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(e1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(f0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(f1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(g0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(g1).intoArray(sums, s + L);
    s += Bf16Panels.P;
    FloatVector.fromArray(F, sums, s).add(h0).intoArray(sums, s);
    FloatVector.fromArray(F, sums, s + L).add(h1).intoArray(sums, s + L);
  }
}
