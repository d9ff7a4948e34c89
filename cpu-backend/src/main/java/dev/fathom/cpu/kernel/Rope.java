package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Turns pairs of elements by the angles of a position, in place.
 *
 * <p>Element i becomes x[i] * cos[i] + partner(i) * sin[i]. The tables have one entry an element;
 * the sine of the first element of a pair is stored negated.
 */
public final class Rope {

  private Rope() {}

  /**
   * Turns the pairs (2i, 2i + 1) of x[off, off + dim).
   *
   * @param x vector, changed
   * @param off first element that is turned
   * @param dim elements that are turned, even
   * @param cos cosines from table on
   * @param sin sines with their sign from table on
   * @param table first entry of the position
   */
  public static void interleaved(float[] x, int off, int dim, float[] cos, float[] sin, int table) {
    int i = 0;
    int last = ScalarStart.lastVector(dim);
    for (; i <= last; i += L) {
      FloatVector v = FloatVector.fromArray(F, x, off + i);
      // Rotating each pair as one long by half its bits swaps its elements.
      FloatVector partner =
          v.reinterpretAsLongs().lanewise(VectorOperators.ROL, 32).reinterpretAsFloats();
      FloatVector turned = v.mul(FloatVector.fromArray(F, cos, table + i));
      turned.add(partner.mul(FloatVector.fromArray(F, sin, table + i))).intoArray(x, off + i);
    }
    for (; i < dim; i += 2) {
      float a = x[off + i];
      float b = x[off + i + 1];
      x[off + i] = a * cos[table + i] + b * sin[table + i];
      x[off + i + 1] = b * cos[table + i + 1] + a * sin[table + i + 1];
    }
  }

  /**
   * Turns the pairs (i, i + dim / 2) of x[off, off + dim); parameters as for {@link #interleaved}.
   */
  public static void halfSplit(float[] x, int off, int dim, float[] cos, float[] sin, int table) {
    int half = dim / 2;
    int i = 0;
    int last = ScalarStart.lastVector(half);
    for (; i <= last; i += L) {
      FloatVector a = FloatVector.fromArray(F, x, off + i);
      FloatVector b = FloatVector.fromArray(F, x, off + half + i);
      FloatVector first = a.mul(FloatVector.fromArray(F, cos, table + i));
      FloatVector second = b.mul(FloatVector.fromArray(F, cos, table + half + i));
      first = first.add(b.mul(FloatVector.fromArray(F, sin, table + i)));
      second = second.add(a.mul(FloatVector.fromArray(F, sin, table + half + i)));
      first.intoArray(x, off + i);
      second.intoArray(x, off + half + i);
    }
    for (; i < half; i++) {
      float a = x[off + i];
      float b = x[off + half + i];
      x[off + i] = a * cos[table + i] + b * sin[table + i];
      x[off + half + i] = b * cos[table + half + i] + a * sin[table + half + i];
    }
  }
}
