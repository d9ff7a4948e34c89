package dev.fathom.moe;

/**
 * The rule by which a layer chooses experts for a token and weighs them; {@link Router} executes
 * it.
 *
 * <p>All rules choose {@code topK} of {@code numExperts} by a score, ties lowest index first. None
 * covers shared experts, whose output is added without a weight. Threads: immutable.
 */
public sealed interface RouterSpec {
  /** E: routed experts of the layer, at least 1. */
  int numExperts();

  /** K: experts chosen for each token, 1 to E. */
  int topK();

  /** True if the rule adds a bias [E] to the scores before it chooses. */
  boolean usesBias();

  /** What replaces the scores of experts outside the kept groups. */
  enum MaskedGroups {
    /** They can't be chosen: the official rule. */
    NEG_INFINITY,
    /**
     * They score 0 and win against kept experts whose biased score is negative: the rule of the
     * first remote code and of older transformers; only to reproduce old outputs.
     */
    ZERO
  }

  /**
   * DeepSeek-V3's {@code noaux_tc}: sigmoid scores; a bias that chooses but never weighs; the best
   * groups by the sum of their two best biased scores.
   *
   * <p>Weights are the unbiased scores, first normalised (if {@code normTopKProb}; divided by their
   * sum + 1e-20), then scaled. Source: DeepSeek-V3, section 2.1.2, and the reference gate.
   *
   * @param numExperts E
   * @param topK K
   * @param numGroups groups of E / numGroups consecutive experts; 1 turns groups off
   * @param topKGroups groups that are kept
   * @param normTopKProb whether the K weights are divided by their sum
   * @param routedScalingFactor multiplies the weights, after the division
   * @param maskedGroups what the experts of the other groups score
   */
  record SigmoidNoAuxTc(
      int numExperts,
      int topK,
      int numGroups,
      int topKGroups,
      boolean normTopKProb,
      double routedScalingFactor,
      MaskedGroups maskedGroups)
      implements RouterSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if the groups don't divide the experts, a group has one
     *     expert only, or the kept groups hold fewer than K experts
     */
    public SigmoidNoAuxTc {
      checkExperts(numExperts, topK);
      checkGroups(numExperts, topK, numGroups, topKGroups);
      if (numGroups > 1 && numExperts / numGroups < 2) {
        throw new IllegalArgumentException(
            "must leave >= 2 experts a group: numExperts="
                + numExperts
                + " numGroups="
                + numGroups);
      }
      Checks.positiveFinite("routedScalingFactor", routedScalingFactor);
    }

    /** The official rule, {@link MaskedGroups#NEG_INFINITY}. */
    public SigmoidNoAuxTc(
        int numExperts,
        int topK,
        int numGroups,
        int topKGroups,
        boolean normTopKProb,
        double routedScalingFactor) {
      this(
          numExperts,
          topK,
          numGroups,
          topKGroups,
          normTopKProb,
          routedScalingFactor,
          MaskedGroups.NEG_INFINITY);
    }

    @Override
    public boolean usesBias() {
      return true;
    }
  }

  /**
   * DeepSeek-V2-Lite and DeepSeekMoE's {@code greedy}: the K largest of a softmax over all experts.
   *
   * <p>If {@code normTopKProb} and K > 1 the weights are divided by their sum + 1e-20 and not
   * scaled, else they are scaled: either or, as in the published code. Source: DeepSeek-V2, remote
   * code.
   *
   * @param numExperts E
   * @param topK K
   * @param normTopKProb whether the K weights are divided by their sum instead of scaled
   * @param routedScalingFactor multiplies the weights otherwise
   */
  record SoftmaxGreedy(int numExperts, int topK, boolean normTopKProb, double routedScalingFactor)
      implements RouterSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if K is not in [1, E] or the factor is not finite and
     *     positive
     */
    public SoftmaxGreedy {
      checkExperts(numExperts, topK);
      Checks.positiveFinite("routedScalingFactor", routedScalingFactor);
    }

    @Override
    public boolean usesBias() {
      return false;
    }
  }

  /**
   * DeepSeek-V2's {@code group_limited_greedy}: as {@link SoftmaxGreedy}, but only from the best
   * groups by their largest probability.
   *
   * @param numExperts E
   * @param topK K
   * @param numGroups groups of E / numGroups consecutive experts
   * @param topKGroups groups that are kept
   * @param normTopKProb whether the K weights are divided by their sum instead of scaled
   * @param routedScalingFactor multiplies the weights otherwise
   */
  record SoftmaxGroupLimited(
      int numExperts,
      int topK,
      int numGroups,
      int topKGroups,
      boolean normTopKProb,
      double routedScalingFactor)
      implements RouterSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if the groups don't divide the experts or the kept groups
     *     hold fewer than K experts
     */
    public SoftmaxGroupLimited {
      checkExperts(numExperts, topK);
      checkGroups(numExperts, topK, numGroups, topKGroups);
      Checks.positiveFinite("routedScalingFactor", routedScalingFactor);
    }

    @Override
    public boolean usesBias() {
      return false;
    }
  }

  /**
   * DeepSeek-V4's rule: scores {@code sqrt(softplus(logit))}, a bias that chooses but never weighs,
   * no groups.
   *
   * <p>Weights are the unbiased scores, divided by their sum + 1e-20, then scaled. The first layers
   * of V4 look their experts up by token id instead and have no bias: {@link Router#weigh} gives
   * the weights for ids that are already known.
   *
   * @param numExperts E
   * @param topK K
   * @param routedScalingFactor multiplies the weights, after the division
   */
  record SqrtSoftplusNoAuxTc(int numExperts, int topK, double routedScalingFactor)
      implements RouterSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if K is not in [1, E] or the factor is not finite and
     *     positive
     */
    public SqrtSoftplusNoAuxTc {
      checkExperts(numExperts, topK);
      Checks.positiveFinite("routedScalingFactor", routedScalingFactor);
    }

    @Override
    public boolean usesBias() {
      return true;
    }
  }

  private static void checkExperts(int numExperts, int topK) {
    Checks.atLeast(1, "numExperts", numExperts);
    Checks.inRange(1, numExperts, "topK", topK);
  }

  private static void checkGroups(int numExperts, int topK, int numGroups, int topKGroups) {
    Checks.inRange(1, numExperts, "numGroups", numGroups);
    Checks.inRange(1, numGroups, "topKGroups", topKGroups);
    if (numExperts % numGroups != 0) {
      throw new IllegalArgumentException(
          "must divide the experts: numGroups=" + numGroups + " numExperts=" + numExperts);
    }
    int kept = numExperts / numGroups * topKGroups;
    if (topK > kept) {
      throw new IllegalArgumentException(
          "must be <= experts in the kept groups: topK=" + topK + " kept=" + kept);
    }
  }
}
