package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

/**
 * Dot products of float32 arrays: two accumulators taking turns, then the fixed tree of {@link
 * Lanes}, then the tail. The order depends on the length alone.
 */
public final class Dot {

  private Dot() {}

  /**
   * Returns the sum over i in [0, len) of a[aOff + i] * b[bOff + i].
   *
   * @param lanes {@link Lanes#scratchLen()} floats of scratch
   */
  public static float of(float[] a, int aOff, float[] b, int bOff, int len, float[] lanes) {
    FloatVector even = FloatVector.zero(F);
    FloatVector odd = FloatVector.zero(F);
    int body = len - len % (2 * L);
    for (int c = 0; c < body; c += 2 * L) {
      FloatVector w0 = FloatVector.fromArray(F, a, aOff + c);
      FloatVector w1 = FloatVector.fromArray(F, a, aOff + c + L);
      even = w0.fma(FloatVector.fromArray(F, b, bOff + c), even);
      odd = w1.fma(FloatVector.fromArray(F, b, bOff + c + L), odd);
    }
    even.add(odd).intoArray(lanes, 0);
    return Lanes.sum(lanes, 0) + tail(a, aOff, b, bOff, body, len);
  }

  private static float tail(float[] a, int aOff, float[] b, int bOff, int begin, int end) {
    float sum = 0;
    for (int i = begin; i < end; i++) {
      sum += a[aOff + i] * b[bOff + i];
    }
    return sum;
  }

  /**
   * Multiplies each row with each vector: out[i * outStride + r] = row r * vector i, with the bits
   * of {@link #of}.
   *
   * @param rows [numRows, len]
   * @param x [numVectors, len]
   * @param lanes {@link Lanes#scratchLen()} floats of scratch
   */
  public static void all(
      float[] rows,
      int numRows,
      int len,
      float[] x,
      int numVectors,
      float[] out,
      int outStride,
      float[] lanes) {
    int body = len - len % (2 * L);
    for (int r = 0; r < numRows; r++) {
      int row = r * len;
      int i = 0;
      for (; i <= numVectors - 4; i += 4) {
        four(rows, row, x, i * len, len, lanes);
        for (int j = 0; j < 4; j++) {
          float tail = tail(rows, row, x, (i + j) * len, body, len);
          out[(i + j) * outStride + r] = Lanes.sum(lanes, j * L) + tail;
        }
      }
      for (; i < numVectors; i++) {
        out[i * outStride + r] = of(rows, row, x, i * len, len, lanes);
      }
    }
  }

  private static void four(float[] row, int off, float[] x, int x0, int len, float[] lanes) {
    int x1 = x0 + len;
    int x2 = x1 + len;
    int x3 = x2 + len;
    FloatVector even0 = FloatVector.zero(F);
    FloatVector even1 = even0;
    FloatVector even2 = even0;
    FloatVector even3 = even0;
    FloatVector odd0 = even0;
    FloatVector odd1 = even0;
    FloatVector odd2 = even0;
    FloatVector odd3 = even0;
    int body = len - len % (2 * L);
    for (int c = 0; c < body; c += 2 * L) {
      FloatVector w0 = FloatVector.fromArray(F, row, off + c);
      FloatVector w1 = FloatVector.fromArray(F, row, off + c + L);
      even0 = w0.fma(FloatVector.fromArray(F, x, x0 + c), even0);
      odd0 = w1.fma(FloatVector.fromArray(F, x, x0 + c + L), odd0);
      even1 = w0.fma(FloatVector.fromArray(F, x, x1 + c), even1);
      odd1 = w1.fma(FloatVector.fromArray(F, x, x1 + c + L), odd1);
      even2 = w0.fma(FloatVector.fromArray(F, x, x2 + c), even2);
      odd2 = w1.fma(FloatVector.fromArray(F, x, x2 + c + L), odd2);
      even3 = w0.fma(FloatVector.fromArray(F, x, x3 + c), even3);
      odd3 = w1.fma(FloatVector.fromArray(F, x, x3 + c + L), odd3);
    }
    even0.add(odd0).intoArray(lanes, 0);
    even1.add(odd1).intoArray(lanes, L);
    even2.add(odd2).intoArray(lanes, 2 * L);
    even3.add(odd3).intoArray(lanes, 3 * L);
  }
}
