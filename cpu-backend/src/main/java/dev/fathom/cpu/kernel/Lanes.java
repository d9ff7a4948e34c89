package dev.fathom.cpu.kernel;

import java.nio.ByteOrder;
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
  static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> I = F.withLanes(int.class);

  /** L, the floats of a vector. */
  static final int L = F.length();

  static final VectorShuffle<Float> ZIP_LOW = VectorShuffle.makeZip(F, 0);
  static final VectorShuffle<Float> ZIP_HIGH = VectorShuffle.makeZip(F, 1);

  private Lanes() {}

  /** Returns the bits of the vectors that the kernels use. */
  public static int vectorBits() {
    return F.vectorBitSize();
  }

  /** Returns the floats of scratch that each thread hands to the kernels. */
  public static int scratchLen() {
    return 16 * L;
  }

  /** Returns the sum of the L floats from lanes[off] on; changes them. */
  static float sum(float[] lanes, int off) {
    for (int half = L / 2; half > 0; half /= 2) {
      for (int i = off; i < off + half; i++) {
        lanes[i] += lanes[i + half];
      }
    }
    return lanes[off];
  }
}
