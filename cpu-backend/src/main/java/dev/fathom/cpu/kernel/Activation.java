package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Activations as signed bytes: each block of 32 elements is divided by its largest magnitude / 127
 * and rounded to nearest even.
 *
 * <p>A vector of C elements in K = ceil(C / 32) blocks, in the bits of floats:
 *
 * <pre>
 *   0                       32 K            33 K              34 K                   35 K
 *   +-----------------------+---------------+-----------------+----------------------+
 *   | q, twice in each int  | scale [K]     | scale * sum q   | 8 * sum q, twice     |
 *   +-----------------------+---------------+-----------------+----------------------+
 * </pre>
 *
 * <p>Each q stands in both halves of its int, so that it can be broadcast to lanes of 16 bits; so
 * does the low half of 8 times their sum, which 4-bit codes of 0 to 15 add too much. A NaN or an
 * infinity makes the scale of its block and the products with it NaN or infinite.
 */
final class Activation {

  /** Elements that share a scale. */
  static final int BLOCK = 32;

  private static final float MOST = 127f;
  // Adding it rounds to an integer and leaves that integer in the low mantissa bits.
  private static final float ROUNDER = 0x1.8p23f;
  private static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);

  private Activation() {}

  static int blocks(int elements) {
    return (elements + BLOCK - 1) / BLOCK;
  }

  static int len(int elements) {
    return blocks(elements) * (BLOCK + 3);
  }

  static void arrange(float[] in, int inOff, float[] out, int outOff, int len) {
    int blocks = blocks(len);
    int scales = outOff + blocks * BLOCK;
    for (int b = 0; b < blocks; b++) {
      int to = outOff + b * BLOCK;
      int from = inOff + b * BLOCK;
      int m = Math.min(BLOCK, len - b * BLOCK);
      if (m < BLOCK) {
        System.arraycopy(in, from, out, to, m);
        Arrays.fill(out, to + m, to + BLOCK, 0f);
        from = to;
      }
      float[] source = m < BLOCK ? out : in;
      float most = largest(source, from);
      int sum = round(source, from, most > 0 ? MOST / most : 0f, out, to);
      float scale = most / MOST;
      out[scales + b] = scale;
      out[scales + blocks + b] = scale * sum;
      out[scales + 2 * blocks + b] = Float.intBitsToFloat(((8 * sum) & 0xFFFF) * 0x10001);
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

  /** Writes the rounded elements and returns their sum. */
  private static int round(float[] in, int from, float factor, float[] out, int to) {
    IntVector sum = IntVector.zero(Lanes.I);
    for (int i = 0; i < BLOCK; i += L) {
      FloatVector shifted = FloatVector.fromArray(F, in, from + i).mul(factor).add(ROUNDER);
      IntVector q = shifted.reinterpretAsInts().sub(ROUNDER_BITS);
      sum = sum.add(q);
      IntVector twice = q.and(0xFFFF).or(q.lanewise(VectorOperators.LSHL, 16));
      twice.reinterpretAsFloats().intoArray(out, to + i);
    }
    return sum.reduceLanes(VectorOperators.ADD);
  }
}
