package dev.fathom.cpu.kernel;

import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector shapes of this machine, and the sum over lanes in a fixed order.
 *
 * <p>{@code reduceLanes(ADD)} may add floats in any order. Kernels store their lanes and {@link
 * #sum} adds the upper half to the lower half until one is left, with the same bits in interpreted
 * and compiled code. It takes an array rather than a vector because code behind a loop is not
 * inlined, and a vector that is handed to a method that is not inlined is allocated.
 */
public final class Lanes {

  static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;
  static final VectorSpecies<Float> F = species(VectorWidth.wanted());
  static final VectorSpecies<Integer> I = F.withLanes(int.class);

  /** L, the floats of a vector. */
  static final int L = F.length();

  static final VectorShuffle<Float> ZIP_LOW = VectorShuffle.makeZip(F, 0);
  static final VectorShuffle<Float> ZIP_HIGH = VectorShuffle.makeZip(F, 1);

  private static final VectorShuffle<Float> SWAP_PAIRS = VectorShuffle.fromOp(F, i -> i ^ 2);
  private static final VectorShuffle<Float> SWAP_ONES = VectorShuffle.fromOp(F, i -> i ^ 1);

  private Lanes() {}

  /** Returns the wanted shape where the machine has it, else the widest that it has. */
  private static VectorSpecies<Float> species(int bits) {
    VectorSpecies<Float> widest = FloatVector.SPECIES_PREFERRED;
    return switch (Math.min(bits, widest.vectorBitSize())) {
      case 128 -> FloatVector.SPECIES_128;
      case 256 -> FloatVector.SPECIES_256;
      default -> widest;
    };
  }

  /** Returns the bits of the vectors that the kernels use. */
  public static int vectorBits() {
    return F.vectorBitSize();
  }

  /** Returns the floats of scratch that each thread hands to kernels of single vectors. */
  public static int scratchLen() {
    return 16 * L;
  }

  /**
   * Returns L ints of a value. A loop keeps the vector that was read from them in a register, while
   * it makes constants anew for each use, and may give each constant distance of a shift of shorts
   * a register of its own.
   */
  static int[] filled(int value) {
    int[] lanes = new int[L];
    Arrays.fill(lanes, value);
    return lanes;
  }

  /** Returns the sum of the L floats from lanes[off] on; changes them. */
  static float sum(float[] lanes, int off) {
    if (L == 16) {
      halve16(lanes, off, off);
    }
    if (L >= 8) {
      halve8(lanes, off, off);
    }
    return L == 2 ? lanes[off] + lanes[off + 1] : four(lanes, off);
  }

  /**
   * Replaces lanes[i] by the sum of the L floats from lanes[i * L] on, for i in [0, n), with the
   * bits of {@link #sum}; destroys the others.
   *
   * @param n a multiple of 4
   */
  static void sums(float[] lanes, int n) {
    if (L == 16) {
      for (int i = 0; i < n; i++) {
        FloatVector lower = FloatVector.fromArray(FloatVector.SPECIES_256, lanes, i * 16);
        FloatVector upper = FloatVector.fromArray(FloatVector.SPECIES_256, lanes, i * 16 + 8);
        lower.add(upper).intoArray(lanes, i * 8);
      }
    }
    if (L >= 8) {
      for (int i = 0; i < n; i++) {
        FloatVector lower = FloatVector.fromArray(FloatVector.SPECIES_128, lanes, i * 8);
        FloatVector upper = FloatVector.fromArray(FloatVector.SPECIES_128, lanes, i * 8 + 4);
        lower.add(upper).intoArray(lanes, i * 4);
      }
    }
    if (L == 2) {
      for (int i = 0; i < n; i++) {
        lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
      }
    } else {
      quarters(lanes, n);
    }
  }

  /** Replaces lanes[i] by the sum of the four floats from lanes[4 i] on. */
  private static void quarters(float[] lanes, int n) {
    if (L < 16) {
      for (int i = 0; i < n; i++) {
        lanes[i] = four(lanes, 4 * i);
      }
      return;
    }
    for (int i = 0; i < n; i += 4) {
      FloatVector v = FloatVector.fromArray(F, lanes, 4 * i);
      v = v.add(v.rearrange(SWAP_PAIRS));
      v.add(v.rearrange(SWAP_ONES)).intoArray(lanes, 4 * i);
    }
    for (int i = 1; i < n; i++) {
      lanes[i] = lanes[4 * i];
    }
  }

  private static float four(float[] lanes, int off) {
    return (lanes[off] + lanes[off + 2]) + (lanes[off + 1] + lanes[off + 3]);
  }

  private static void halve16(float[] lanes, int from, int to) {
    FloatVector upper = FloatVector.fromArray(FloatVector.SPECIES_256, lanes, from + 8);
    FloatVector.fromArray(FloatVector.SPECIES_256, lanes, from).add(upper).intoArray(lanes, to);
  }

  private static void halve8(float[] lanes, int from, int to) {
    FloatVector upper = FloatVector.fromArray(FloatVector.SPECIES_128, lanes, from + 4);
    FloatVector.fromArray(FloatVector.SPECIES_128, lanes, from).add(upper).intoArray(lanes, to);
  }
}
