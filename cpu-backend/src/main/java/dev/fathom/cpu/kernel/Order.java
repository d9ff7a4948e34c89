package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.L;

/**
 * How the elements of an activation lie so that they meet the weights of a loaded int vector.
 *
 * <p>An int lane holds two bfloat16 or four E4M3 weights. Splitting a vector of such lanes gives
 * the even and the odd weights (or every fourth), so the activation is brought into the same order
 * once for all rows. Elements behind the last whole chunk keep their places.
 *
 * <pre>
 *   PAIRS, L = 4     x0 x1 x2 x3 x4 x5 x6 x7  ->  x0 x2 x4 x6 | x1 x3 x5 x7
 * </pre>
 */
public enum Order {
  /** As it is. */
  NATURAL(1, 1f),
  /** Chunks of 2 L: even elements, then odd ones. */
  PAIRS(2, 1f),
  /**
   * Chunks of 4 L: every fourth element from 0, from 1, from 2, from 3; and all scaled by 2^64,
   * which with 2^56 for the sums makes up for the 2^120 that decoded E4M3 lanes lack without
   * leaving float32's range. Activations must stay below 2^63.
   */
  QUADS(4, 0x1p64f),
  /** Chunks of 2 L as in {@link #PAIRS}, scaled by 2^64 for binary16. */
  HALVES(2, 0x1p64f),
  /** Chunks of 8 L: every eighth element from 0 on, from 1 on, ...; scaled by 2^64 for E2M1. */
  OCTETS(8, 0x1p64f),
  /**
   * Rounded to signed bytes with one scale for each 32 elements, for weights of 8 bits; see {@link
   * Activation} for where everything lies. Not exact: a named mode.
   */
  BYTES_8(1, 1f),
  /** As {@link #BYTES_8}, for weights of 4 bits. */
  BYTES_4(1, 1f);

  private final int step;
  private final float factor;

  Order(int step, float factor) {
    this.step = step;
    this.factor = factor;
  }

  /** Returns the elements that are reordered together. */
  int chunk() {
    return step * L;
  }

  /** Returns the bits of the weights that rounded activations are for, or 0. */
  private int bits() {
    return switch (this) {
      case BYTES_8 -> 8;
      case BYTES_4 -> 4;
      default -> 0;
    };
  }

  /** Returns the floats that a vector of so many elements takes in this order. */
  public int len(int elements) {
    int bits = bits();
    return bits > 0 ? Activation.len(bits, elements) : elements;
  }

  /** Returns the most floats that a vector of so many elements takes in any order. */
  public static int mostLen(int elements) {
    return Math.max(elements, BYTES_8.len(elements));
  }

  /**
   * Writes in[inOff, inOff + len) to out[outOff, outOff + len) in this order.
   *
   * @param in natural order, another array than out
   * @param out this order, {@link #len} floats
   */
  public void arrange(float[] in, int inOff, float[] out, int outOff, int len) {
    if (this == NATURAL) {
      System.arraycopy(in, inOff, out, outOff, len);
      return;
    }
    int bits = bits();
    if (bits > 0) {
      Activation.arrange(bits, in, inOff, out, outOff, len);
      return;
    }
    int body = len - len % chunk();
    for (int c = 0; c < body; c += chunk()) {
      for (int k = 0; k < step; k++) {
        int target = outOff + c + k * L;
        int source = inOff + c + k;
        for (int j = 0; j < L; j++) {
          out[target + j] = in[source + j * step] * factor;
        }
      }
    }
    for (int i = body; i < len; i++) {
      out[outOff + i] = in[inOff + i] * factor;
    }
  }
}
