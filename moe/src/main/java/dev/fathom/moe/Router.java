package dev.fathom.moe;

import dev.fathom.moe.RouterSpec.MaskedGroups;
import dev.fathom.moe.RouterSpec.SigmoidNoAuxTc;
import dev.fathom.moe.RouterSpec.SoftmaxGreedy;
import dev.fathom.moe.RouterSpec.SoftmaxGroupLimited;
import dev.fathom.moe.RouterSpec.SqrtSoftplusNoAuxTc;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The reference routers: from the logits of one token to expert ids and weights.
 *
 * <p>A rule has four stages: scores from logits, groups by score, the K best experts of the kept
 * groups, weights from the scores of the chosen. Every stored number is a float32; exponentials and
 * logarithms are computed in float64 and rounded once, the sum of a softmax is kept in float64.
 *
 * <p><b>Order.</b> The chosen experts come best first; equal scores, lowest index first.
 *
 * <p><b>NaN.</b> As in PyTorch's topk, NaN ranks above every number: a NaN logit is chosen, its
 * weight is NaN and the fault shows in the output, instead of hiding as an expert that nobody
 * picks. In a softmax one NaN logit makes all scores NaN, so experts 0 to K-1 (of the first groups)
 * are chosen. Ids are in [0, E) and distinct whatever the logits are. If all K chosen scores are
 * zero the weights are zero where a rule normalises (0 / 1e-20). A softmax over logits that are all
 * -infinity, or that hold +infinity, has NaN scores.
 *
 * <p>Threads: stateless; the scratch belongs to one thread. Allocates nothing.
 */
public final class Router {
  private static final float NORM_EPSILON = 1e-20f;

  private Router() {}

  /**
   * Chooses and weighs the experts of one token.
   *
   * @param logits the router's logits are {@code logits[off, off + E)}
   * @param bias E values that a rule with {@link RouterSpec#usesBias()} adds to choose, null for
   *     none
   * @param expertIds receives K distinct ids at {@code outOff}, best first
   * @param weights receives their K weights at {@code outOff}
   * @throws IllegalArgumentException if there is a bias for a rule without one, the bias has
   *     another length than E, or the scratch is too small
   * @throws IndexOutOfBoundsException if an array is too short
   */
  public static void route(
      RouterSpec spec,
      float[] logits,
      int off,
      float @Nullable [] bias,
      int[] expertIds,
      float[] weights,
      int outOff,
      RouterScratch scratch) {
    check(spec, logits, off, expertIds, weights, outOff, scratch);
    checkBias(spec, bias);
    scores(spec, logits, off, scratch.scores);
    float[] choice = choice(scratch, bias, spec.numExperts());
    switch (spec) {
      case SigmoidNoAuxTc s -> {
        keepGroups(choice, s.numExperts(), s.numGroups(), s.topKGroups(), true, scratch);
        if (s.maskedGroups() == MaskedGroups.ZERO) {
          zeroMaskedGroups(choice, s.numExperts(), s.numGroups(), scratch);
        }
        chooseExperts(choice, s.numExperts(), s.topK(), s.numGroups(), scratch, expertIds, outOff);
      }
      case SoftmaxGroupLimited s -> {
        keepGroups(choice, s.numExperts(), s.numGroups(), s.topKGroups(), false, scratch);
        chooseExperts(choice, s.numExperts(), s.topK(), s.numGroups(), scratch, expertIds, outOff);
      }
      case SoftmaxGreedy s -> chooseBest(choice, s.numExperts(), s.topK(), expertIds, outOff);
      case SqrtSoftplusNoAuxTc s -> chooseBest(choice, s.numExperts(), s.topK(), expertIds, outOff);
    }
    weights(spec, scratch.scores, expertIds, weights, outOff);
  }

  /**
   * Weighs experts that are already chosen, as DeepSeek-V4's hash layers do by token id.
   *
   * @param logits the router's logits are {@code logits[off, off + E)}
   * @param expertIds K ids at {@code outOff}, each in [0, E)
   * @param weights receives their K weights at {@code outOff}
   * @throws IllegalArgumentException if the scratch is too small
   * @throws IndexOutOfBoundsException if an array is too short or an id is outside
   */
  public static void weigh(
      RouterSpec spec,
      float[] logits,
      int off,
      int[] expertIds,
      float[] weights,
      int outOff,
      RouterScratch scratch) {
    check(spec, logits, off, expertIds, weights, outOff, scratch);
    for (int k = 0; k < spec.topK(); k++) {
      Checks.index("expertId", expertIds[outOff + k], spec.numExperts());
    }
    scores(spec, logits, off, scratch.scores);
    weights(spec, scratch.scores, expertIds, weights, outOff);
  }

  private static void check(
      RouterSpec spec,
      float[] logits,
      int off,
      int[] expertIds,
      float[] weights,
      int outOff,
      RouterScratch scratch) {
    Checks.range("logits", off, spec.numExperts(), logits.length);
    Checks.range("expertIds", outOff, spec.topK(), expertIds.length);
    Checks.range("weights", outOff, spec.topK(), weights.length);
    Checks.atLeast(spec.numExperts(), "scratch.numExperts", scratch.numExperts());
  }

  private static void checkBias(RouterSpec spec, float @Nullable [] bias) {
    if (bias == null) {
      return;
    }
    if (!spec.usesBias()) {
      throw new IllegalArgumentException(
          "must be null for a rule without bias: bias.length=" + bias.length);
    }
    if (bias.length != spec.numExperts()) {
      throw new IllegalArgumentException(
          "must be " + spec.numExperts() + ": bias.length=" + bias.length);
    }
  }

  private static void scores(RouterSpec spec, float[] logits, int off, float[] scores) {
    int numExperts = spec.numExperts();
    switch (spec) {
      case SigmoidNoAuxTc s -> sigmoid(logits, off, scores, numExperts);
      case SqrtSoftplusNoAuxTc s -> sqrtSoftplus(logits, off, scores, numExperts);
      case SoftmaxGreedy s -> softmax(logits, off, scores, numExperts);
      case SoftmaxGroupLimited s -> softmax(logits, off, scores, numExperts);
    }
  }

  private static void sigmoid(float[] logits, int off, float[] scores, int numExperts) {
    for (int e = 0; e < numExperts; e++) {
      scores[e] = (float) (1.0 / (1.0 + Math.exp(-(double) logits[off + e])));
    }
  }

  private static void sqrtSoftplus(float[] logits, int off, float[] scores, int numExperts) {
    for (int e = 0; e < numExperts; e++) {
      double z = logits[off + e];
      double softplus = z > 20.0 ? z : Math.log1p(Math.exp(z));
      scores[e] = (float) Math.sqrt(softplus);
    }
  }

  private static void softmax(float[] logits, int off, float[] scores, int numExperts) {
    float max = Float.NEGATIVE_INFINITY;
    for (int e = 0; e < numExperts; e++) {
      max = Math.max(max, logits[off + e]);
    }
    double sum = 0;
    for (int e = 0; e < numExperts; e++) {
      sum += Math.exp((double) logits[off + e] - max);
    }
    for (int e = 0; e < numExperts; e++) {
      scores[e] = (float) (Math.exp((double) logits[off + e] - max) / sum);
    }
  }

  /** What the choice is made by: a copy of the scores, plus the bias if there is one. */
  private static float[] choice(RouterScratch scratch, float @Nullable [] bias, int numExperts) {
    float[] choice = scratch.choice;
    System.arraycopy(scratch.scores, 0, choice, 0, numExperts);
    if (bias != null) {
      for (int e = 0; e < numExperts; e++) {
        choice[e] += bias[e];
      }
    }
    return choice;
  }

  /** Marks the best groups in {@code scratch.groupKept}. */
  private static void keepGroups(
      float[] choice,
      int numExperts,
      int numGroups,
      int topKGroups,
      boolean sumOfTwo,
      RouterScratch scratch) {
    int size = numExperts / numGroups;
    for (int g = 0; g < numGroups; g++) {
      scratch.groupKept[g] = numGroups == topKGroups;
      scratch.groupScores[g] = groupScore(choice, g * size, size, sumOfTwo);
    }
    if (numGroups == topKGroups) {
      return;
    }
    chooseBest(scratch.groupScores, numGroups, topKGroups, scratch.groupIds, 0);
    for (int k = 0; k < topKGroups; k++) {
      scratch.groupKept[scratch.groupIds[k]] = true;
    }
  }

  private static float groupScore(float[] choice, int from, int size, boolean sumOfTwo) {
    float first = Float.NEGATIVE_INFINITY;
    float second = Float.NEGATIVE_INFINITY;
    for (int e = from; e < from + size; e++) {
      if (ranksAbove(choice[e], first)) {
        second = first;
        first = choice[e];
      } else if (ranksAbove(choice[e], second)) {
        second = choice[e];
      }
    }
    return sumOfTwo ? first + second : first;
  }

  private static void zeroMaskedGroups(
      float[] choice, int numExperts, int numGroups, RouterScratch scratch) {
    int size = numExperts / numGroups;
    for (int e = 0; e < numExperts; e++) {
      if (!scratch.groupKept[e / size]) {
        choice[e] = 0f;
      }
    }
    Arrays.fill(scratch.groupKept, 0, numGroups, true);
  }

  /** The K best experts of the kept groups. Leaves masked ones out, so that -infinity can't tie. */
  private static void chooseExperts(
      float[] choice,
      int numExperts,
      int topK,
      int numGroups,
      RouterScratch scratch,
      int[] expertIds,
      int outOff) {
    int size = numExperts / numGroups;
    int found = 0;
    for (int g = 0; g < numGroups; g++) {
      if (scratch.groupKept[g]) {
        found = insertBest(choice, g * size, size, topK, found, expertIds, outOff);
      }
    }
  }

  private static void chooseBest(float[] choice, int count, int topK, int[] ids, int outOff) {
    insertBest(choice, 0, count, topK, 0, ids, outOff);
  }

  /**
   * Merges the candidates [from, from + count) into the {@code found} best so far at {@code
   * ids[outOff..]}; returns how many there are now, K at most. Rising indices and a strict
   * comparison give ties to the lowest index.
   */
  private static int insertBest(
      float[] choice, int from, int count, int topK, int found, int[] ids, int outOff) {
    int have = found;
    for (int e = from; e < from + count; e++) {
      if (have == topK && !ranksAbove(choice[e], choice[ids[outOff + topK - 1]])) {
        continue;
      }
      int k = have == topK ? topK - 1 : have++;
      while (k > 0 && ranksAbove(choice[e], choice[ids[outOff + k - 1]])) {
        ids[outOff + k] = ids[outOff + k - 1];
        k--;
      }
      ids[outOff + k] = e;
    }
    return have;
  }

  /** A strict order of floats with NaN on top; the zeros are equal. */
  private static boolean ranksAbove(float a, float b) {
    return a > b || (Float.isNaN(a) && !Float.isNaN(b));
  }

  private static void weights(
      RouterSpec spec, float[] scores, int[] expertIds, float[] weights, int outOff) {
    int topK = spec.topK();
    float sum = 0f;
    for (int k = 0; k < topK; k++) {
      float score = scores[expertIds[outOff + k]];
      weights[outOff + k] = score;
      sum += score;
    }
    switch (spec) {
      case SigmoidNoAuxTc s -> {
        if (s.normTopKProb()) {
          divide(weights, outOff, topK, sum);
        }
        scale(weights, outOff, topK, s.routedScalingFactor());
      }
      case SqrtSoftplusNoAuxTc s -> {
        divide(weights, outOff, topK, sum);
        scale(weights, outOff, topK, s.routedScalingFactor());
      }
      case SoftmaxGreedy s ->
          softmaxWeights(weights, outOff, topK, s.normTopKProb(), sum, s.routedScalingFactor());
      case SoftmaxGroupLimited s ->
          softmaxWeights(weights, outOff, topK, s.normTopKProb(), sum, s.routedScalingFactor());
    }
  }

  private static void softmaxWeights(
      float[] weights, int outOff, int topK, boolean normTopKProb, float sum, double factor) {
    if (normTopKProb && topK > 1) {
      divide(weights, outOff, topK, sum);
    } else {
      scale(weights, outOff, topK, factor);
    }
  }

  private static void divide(float[] weights, int outOff, int topK, float sum) {
    float divisor = sum + NORM_EPSILON;
    for (int k = 0; k < topK; k++) {
      weights[outOff + k] /= divisor;
    }
  }

  private static void scale(float[] weights, int outOff, int topK, double factor) {
    float multiplier = (float) factor;
    for (int k = 0; k < topK; k++) {
      weights[outOff + k] *= multiplier;
    }
  }
}
