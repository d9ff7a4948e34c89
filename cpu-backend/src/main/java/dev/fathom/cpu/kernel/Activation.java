package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Activations as signed bytes q: each block of 32 elements is divided by its largest magnitude /
 * 127 and rounded to nearest even.
 *
 * <p>They meet weights of b bits without any weight being cut out of its neighbours. Let a number
 * of 16 bits hold the weights w0, w1, ... from its low end on, and let vi be that number shifted
 * right by i b bits, so that wi = vi - 2^b v(i+1). Then, modulo 2^16,
 *
 * <pre>
 *   w0 q0 + w1 q1 + w2 q2 + ... = v0 q0 + v1 (q1 - 2^b q0) + v2 (q2 - 2^b q1) + ...
 * </pre>
 *
 * <p>so a weight costs a shift, a product and a sum. 16 columns of weights of 8 bits or 32 of 4
 * bits are a turn of four steps. In step j the low half of an int meets the columns j, j + 4, ...
 * of the turn's first half and the high half those of its second half. C elements in K = ceil(C /
 * 32) blocks, in the bits of floats:
 *
 * <pre>
 *   a turn of 8 bits:   q0 of the 4 steps | q1 - 2^8 q0 | corrections of the 4 steps | scale    13
 *   a turn of 4 bits:   q0 of the 4 steps | q1 - 2^4 q0 | q2 - .. | q3 - .. | correction | scale  18
 *
 *   0                                              K or 2 K turns  + 16
 *   +----------------------------------------------+---------------+---------------+-----------+
 *   | turns                                        | not used      | scale * sum q | work [64] |
 *   +----------------------------------------------+---------------+---------------+-----------+
 * </pre>
 *
 * <p>Corrections are what codes that lie as numbers from 0 on add too much. Of 8 bits they are
 * added to both halves, with 2^15 for the low one: 2^15 - 128 q0 | -128 q0. Of 4 bits one is taken
 * from the sum of both halves in the high half: 8 * sum of the turn's q. A NaN or an infinity makes
 * the scale of its block and the products with it NaN or infinite.
 */
final class Activation {

  /** Elements that share a scale. */
  static final int BLOCK = 32;

  /** Steps of a turn. */
  static final int STEPS = 4;

  /** Floats of a turn. */
  static final int RECORD_8 = 13;

  static final int RECORD_4 = 18;

  /** Added to the low half of sums of 8 bits, so that it takes nothing from the high half. */
  static final int TOP = 1 << 15;

  // Whole vectors are read and written where half a one is wanted.
  private static final int SPARE = 16;
  private static final int WORK = SPARE + BLOCK + SPARE;
  private static final int[] FACTORS_8 = {0, 0, 0, 0, 256, 256, 256, 256, 0, 0, 0, 0, 0, 0, 0, 0};
  private static final int[] FACTORS_4 = {
    0, 0, 0, 0, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16
  };

  private static final float MOST = 127f;
  // Adding it rounds to an integer and leaves that integer in the low mantissa bits.
  private static final float ROUNDER = 0x1.8p23f;
  private static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);

  private Activation() {}

  static int blocks(int elements) {
    return (elements + BLOCK - 1) / BLOCK;
  }

  /** Returns the columns of a turn. */
  static int turn(int bits) {
    return 128 / bits;
  }

  private static int record(int bits) {
    return bits == 8 ? RECORD_8 : RECORD_4;
  }

  /** Returns where scale * sum of each block begins. */
  static int sums(int bits, int elements) {
    return blocks(elements) * (BLOCK / turn(bits)) * record(bits) + SPARE;
  }

  static int len(int bits, int elements) {
    return sums(bits, elements) + blocks(elements) + WORK;
  }

  static void arrange(int bits, float[] in, int inOff, float[] out, int outOff, int len) {
    int blocks = blocks(len);
    int sums = outOff + sums(bits, len);
    int work = sums + blocks + SPARE;
    int turn = turn(bits);
    int to = outOff;
    for (int b = 0; b < blocks; b++) {
      int from = inOff + b * BLOCK;
      int m = Math.min(BLOCK, len - b * BLOCK);
      float[] source = in;
      if (m < BLOCK) {
        System.arraycopy(in, from, out, work, m);
        Arrays.fill(out, work + m, work + BLOCK, 0f);
        source = out;
        from = work;
      }
      float most = largest(source, from);
      int sum = round(source, from, most > 0 ? MOST / most : 0f, out, work);
      float scale = most / MOST;
      out[sums + b] = scale * sum;
      for (int i = work; i < work + BLOCK; i += turn) {
        differences(out, i, bits, to);
        if (bits == 8) {
          correct8(out, i, to);
        } else {
          out[to + turn / 2] = Float.intBitsToFloat((IntegerPanels.MIDDLE_4 * sum) << 16);
        }
        to += record(bits);
        out[to - 1] = scale;
      }
    }
  }

  private static float largest(float[] in, int from) {
    FloatVector most = FloatVector.zero(F);
    for (int i = 0; i < BLOCK; i += L) {
      most = most.max(FloatVector.fromArray(F, in, from + i).abs());
    }
    // The order does not matter for a maximum.
    return most.reduceLanes(VectorOperators.MAX);
  }

  /** Writes the rounded elements as ints and returns their sum. */
  private static int round(float[] in, int from, float factor, float[] out, int to) {
    IntVector sum = IntVector.zero(I);
    for (int i = 0; i < BLOCK; i += L) {
      FloatVector shifted = FloatVector.fromArray(F, in, from + i).mul(factor).add(ROUNDER);
      IntVector q = shifted.reinterpretAsInts().sub(ROUNDER_BITS);
      sum = sum.add(q);
      q.reinterpretAsFloats().intoArray(out, to + i);
    }
    return sum.reduceLanes(VectorOperators.ADD);
  }

  /** Writes a turn's ints: each element less 2^bits times the one of the same step before it. */
  private static void differences(float[] x, int from, int bits, int to) {
    int half = turn(bits) / 2;
    int[] factors = bits == 8 ? FACTORS_8 : FACTORS_4;
    for (int i = 0; i < half; i += L) {
      IntVector factor = IntVector.fromArray(I, factors, i);
      int high = from + half + i;
      join(
          ints(x, from + i).sub(ints(x, from + i - STEPS).mul(factor)),
          ints(x, high).sub(ints(x, high - STEPS).mul(factor)),
          x,
          to + i);
    }
  }

  /** Writes the corrections of a turn of 8 bits, and what lies behind them up to a whole vector. */
  private static void correct8(float[] x, int from, int to) {
    int half = turn(8) / 2;
    IntVector low = ints(x, from).mul(-IntegerPanels.MIDDLE_8).add(TOP);
    IntVector high = ints(x, from + half).mul(-IntegerPanels.MIDDLE_8);
    join(low, high, x, to + half);
  }

  private static IntVector ints(float[] x, int from) {
    return FloatVector.fromArray(F, x, from).reinterpretAsInts();
  }

  private static void join(IntVector low, IntVector high, float[] out, int to) {
    low.and(0xFFFF)
        .or(high.lanewise(VectorOperators.LSHL, 16))
        .reinterpretAsFloats()
        .intoArray(out, to);
  }
}
