package dev.fathom.cpu.kernel;

import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
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

  private static final VectorShuffle<Float> SWAP_EIGHTS = swap(8);
  private static final VectorShuffle<Float> SWAP_FOURS = swap(4);
  private static final VectorShuffle<Float> SWAP_PAIRS = swap(2);
  private static final VectorShuffle<Float> SWAP_ONES = swap(1);
  private static final VectorMask<Float> UPPER_EIGHTS = upper(8);
  private static final VectorMask<Float> UPPER_FOURS = upper(4);
  private static final VectorMask<Float> UPPER_PAIRS = upper(2);
  private static final VectorMask<Float> UPPER_ONES = upper(1);

  private Lanes() {}

  /** Exchanges each so many lanes with the next so many. */
  private static VectorShuffle<Float> swap(int lanes) {
    return VectorShuffle.fromOp(F, i -> L > lanes ? i ^ lanes : i);
  }

  /** Sets every second so many lanes. */
  private static VectorMask<Float> upper(int lanes) {
    boolean[] set = new boolean[L];
    for (int i = 0; i < L; i++) {
      set[i] = (i & lanes) != 0;
    }
    return VectorMask.fromArray(F, set, 0);
  }

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
    if (L == 16 && n == 16) {
      sixteen(lanes);
      return;
    }
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

  /**
   * {@link #sums} of sixteen vectors of sixteen lanes. Each step adds two vectors into one: the
   * lower half of every group of lanes comes from the first, the upper half from the second.
   * Written out, for a helper would box its vectors.
   */
  private static void sixteen(float[] lanes) {
    FloatVector a, b;
    a = FloatVector.fromArray(F, lanes, 0);
    b = FloatVector.fromArray(F, lanes, 128);
    FloatVector s = a.blend(b, UPPER_EIGHTS).add(b.blend(a, UPPER_EIGHTS).rearrange(SWAP_EIGHTS));
    a = FloatVector.fromArray(F, lanes, 16);
    b = FloatVector.fromArray(F, lanes, 144);
    FloatVector t = a.blend(b, UPPER_EIGHTS).add(b.blend(a, UPPER_EIGHTS).rearrange(SWAP_EIGHTS));
    a = FloatVector.fromArray(F, lanes, 32);
    b = FloatVector.fromArray(F, lanes, 160);
    FloatVector u = a.blend(b, UPPER_EIGHTS).add(b.blend(a, UPPER_EIGHTS).rearrange(SWAP_EIGHTS));
    a = FloatVector.fromArray(F, lanes, 48);
    b = FloatVector.fromArray(F, lanes, 176);
    FloatVector v = a.blend(b, UPPER_EIGHTS).add(b.blend(a, UPPER_EIGHTS).rearrange(SWAP_EIGHTS));
    a = FloatVector.fromArray(F, lanes, 64);
    b = FloatVector.fromArray(F, lanes, 192);
    FloatVector w = a.blend(b, UPPER_EIGHTS).add(b.blend(a, UPPER_EIGHTS).rearrange(SWAP_EIGHTS));
    a = FloatVector.fromArray(F, lanes, 80);
    b = FloatVector.fromArray(F, lanes, 208);
    FloatVector x = a.blend(b, UPPER_EIGHTS).add(b.blend(a, UPPER_EIGHTS).rearrange(SWAP_EIGHTS));
    a = FloatVector.fromArray(F, lanes, 96);
    b = FloatVector.fromArray(F, lanes, 224);
    FloatVector y = a.blend(b, UPPER_EIGHTS).add(b.blend(a, UPPER_EIGHTS).rearrange(SWAP_EIGHTS));
    a = FloatVector.fromArray(F, lanes, 112);
    b = FloatVector.fromArray(F, lanes, 240);
    FloatVector z = a.blend(b, UPPER_EIGHTS).add(b.blend(a, UPPER_EIGHTS).rearrange(SWAP_EIGHTS));
    s = s.blend(w, UPPER_FOURS).add(w.blend(s, UPPER_FOURS).rearrange(SWAP_FOURS));
    t = t.blend(x, UPPER_FOURS).add(x.blend(t, UPPER_FOURS).rearrange(SWAP_FOURS));
    u = u.blend(y, UPPER_FOURS).add(y.blend(u, UPPER_FOURS).rearrange(SWAP_FOURS));
    v = v.blend(z, UPPER_FOURS).add(z.blend(v, UPPER_FOURS).rearrange(SWAP_FOURS));
    s = s.blend(u, UPPER_PAIRS).add(u.blend(s, UPPER_PAIRS).rearrange(SWAP_PAIRS));
    t = t.blend(v, UPPER_PAIRS).add(v.blend(t, UPPER_PAIRS).rearrange(SWAP_PAIRS));
    s.blend(t, UPPER_ONES).add(t.blend(s, UPPER_ONES).rearrange(SWAP_ONES)).intoArray(lanes, 0);
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
