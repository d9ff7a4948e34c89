package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** The two passes of a softmax over a chunk of scores; who calls joins the chunks. */
public final class Softmax {

  private Softmax() {}

  /** Returns the largest of scores[off, off + len), or NaN if there is one. */
  public static float max(float[] scores, int off, int len) {
    float best = Float.NEGATIVE_INFINITY;
    int i = 0;
    int last = ScalarStart.lastVector(len);
    for (; i <= last; i += L) {
      // The order does not matter for a maximum.
      FloatVector v = FloatVector.fromArray(F, scores, off + i);
      best = Math.max(best, v.reduceLanes(VectorOperators.MAX));
    }
    for (; i < len; i++) {
      best = Math.max(best, scores[off + i]);
    }
    return best;
  }

  /** Replaces each of scores[off, off + len) by exp(score - max) and returns their sum. */
  public static float exponentials(float[] scores, int off, int len, float max) {
    Exp.run(scores, off, 1f, max, scores, off, len);
    float even = 0;
    float odd = 0;
    int i = 0;
    for (; i < len - 1; i += 2) {
      even += scores[off + i];
      odd += scores[off + i + 1];
    }
    return i < len ? even + odd + scores[off + i] : even + odd;
  }

  /** Returns exp(difference), as {@link #exponentials} computes it. */
  public static float exp(float difference) {
    return Exp.of(difference);
  }
}
