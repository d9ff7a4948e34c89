package dev.fathom.cpu.kernel;

import java.nio.ByteOrder;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector shapes of this machine, and sums over lanes in a fixed order.
 *
 * <p>{@code reduceLanes(ADD)} may add floats in any order; these trees add the upper half to the
 * lower half until four (two) lanes are left, in interpreted and compiled code alike.
 */
public final class Lanes {

  static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;
  static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> I = F.withLanes(int.class);
  static final VectorSpecies<Double> D = F.withLanes(double.class);

  /** L, the floats of a vector. */
  static final int L = F.length();

  private static final VectorShuffle<Float> ZIP_LOW = VectorShuffle.makeZip(F, 0);
  private static final VectorShuffle<Float> ZIP_HIGH = VectorShuffle.makeZip(F, 1);

  private Lanes() {}

  /** Returns the bits of the vectors that the kernels use. */
  public static int vectorBits() {
    return F.vectorBitSize();
  }

  /** Returns the sum of all lanes. */
  static float sum(FloatVector v) {
    return switch (L) {
      case 16 -> sum4(fold(fold(v, FloatVector.SPECIES_256), FloatVector.SPECIES_128));
      case 8 -> sum4(fold(v, FloatVector.SPECIES_128));
      case 4 -> sum4(v);
      default -> sumOf(v);
    };
  }

  private static FloatVector fold(FloatVector v, VectorSpecies<Float> half) {
    return ((FloatVector) v.reinterpretShape(half, 0)).add(v.reinterpretShape(half, 1));
  }

  private static float sum4(FloatVector v) {
    return (v.lane(0) + v.lane(2)) + (v.lane(1) + v.lane(3));
  }

  private static float sumOf(FloatVector v) {
    float sum = 0;
    for (int i = 0; i < v.length(); i++) {
      sum += v.lane(i);
    }
    return sum;
  }

  /** Returns the sum of all lanes. */
  static double sum(DoubleVector v) {
    return switch (D.length()) {
      case 8 -> sum2(fold(fold(v, DoubleVector.SPECIES_256), DoubleVector.SPECIES_128));
      case 4 -> sum2(fold(v, DoubleVector.SPECIES_128));
      case 2 -> sum2(v);
      default -> sumOf(v);
    };
  }

  private static DoubleVector fold(DoubleVector v, VectorSpecies<Double> half) {
    return ((DoubleVector) v.reinterpretShape(half, 0)).add(v.reinterpretShape(half, 1));
  }

  private static double sum2(DoubleVector v) {
    return v.lane(0) + v.lane(1);
  }

  private static double sumOf(DoubleVector v) {
    double sum = 0;
    for (int i = 0; i < v.length(); i++) {
      sum += v.lane(i);
    }
    return sum;
  }

  /** Returns the largest lane; order does not matter for it. */
  static float max(FloatVector v) {
    return v.reduceLanes(VectorOperators.MAX);
  }

  /** Returns a0 b0 a1 b1 ... of the lower halves of a and b. */
  static FloatVector zipLow(FloatVector a, FloatVector b) {
    return a.rearrange(ZIP_LOW, b);
  }

  /** Returns a0 b0 a1 b1 ... of the upper halves of a and b. */
  static FloatVector zipHigh(FloatVector a, FloatVector b) {
    return a.rearrange(ZIP_HIGH, b);
  }
}
