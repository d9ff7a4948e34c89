package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

/** The two passes of a softmax over a chunk of scores; who calls joins the chunks. */
public final class Softmax {

  private Softmax() {}

  /** Returns the largest of scores[off, off + len), or NaN if there is one. */
  public static float max(float[] scores, int off, int len) {
    FloatVector max = FloatVector.broadcast(F, Float.NEGATIVE_INFINITY);
    int i = 0;
    for (; i <= len - L; i += L) {
      max = max.max(FloatVector.fromArray(F, scores, off + i));
    }
    float best = Lanes.max(max);
    for (; i < len; i++) {
      best = Math.max(best, scores[off + i]);
    }
    return best;
  }

  /** Replaces each of scores[off, off + len) by exp(score - max) and returns their sum. */
  public static float exponentials(float[] scores, int off, int len, float max) {
    FloatVector sums = FloatVector.zero(F);
    int i = 0;
    for (; i <= len - L; i += L) {
      FloatVector e = Exp.of(FloatVector.fromArray(F, scores, off + i).sub(max));
      e.intoArray(scores, off + i);
      sums = sums.add(e);
    }
    float sum = Lanes.sum(sums);
    for (; i < len; i++) {
      scores[off + i] = Exp.of(scores[off + i] - max);
      sum += scores[off + i];
    }
    return sum;
  }

  /** Returns exp(difference), as {@link #exponentials} computes it. */
  public static float exp(float difference) {
    return Exp.of(difference);
  }
}
