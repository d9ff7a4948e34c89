package dev.fathom.backend.contract;

import dev.fathom.moe.RouterSpec;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/** The routing rules as the papers write them, in float64, by sorting. */
final class RouterFormula {

  /** Smallest distance between what was chosen and what was not: below it rounding may decide. */
  double margin = Double.POSITIVE_INFINITY;

  /** Weight of each expert, 0 where it was not chosen. */
  final double[] weights;

  RouterFormula(RouterSpec spec, double[] logits, double[] bias) {
    double[] scores = scores(spec, logits);
    double[] choice = scores.clone();
    for (int e = 0; e < bias.length; e++) {
      choice[e] += bias[e];
    }
    List<Integer> candidates = candidates(spec, choice);
    List<Integer> chosen = best(candidates, choice, spec.topK());
    weights = new double[logits.length];
    double sum = chosen.stream().mapToDouble(e -> scores[e]).sum();
    for (int e : chosen) {
      weights[e] = weight(spec, scores[e], sum);
    }
  }

  private static double[] scores(RouterSpec spec, double[] logits) {
    double[] scores = new double[logits.length];
    for (int e = 0; e < logits.length; e++) {
      double z = logits[e];
      scores[e] =
          switch (spec) {
            case RouterSpec.SigmoidNoAuxTc s -> 1 / (1 + Math.exp(-z));
            case RouterSpec.SqrtSoftplusNoAuxTc s -> Math.sqrt(Math.log1p(Math.exp(z)));
            case RouterSpec.SoftmaxGreedy s -> Formulas.softmax(logits)[e];
            case RouterSpec.SoftmaxGroupLimited s -> Formulas.softmax(logits)[e];
          };
    }
    return scores;
  }

  private List<Integer> candidates(RouterSpec spec, double[] choice) {
    return switch (spec) {
      case RouterSpec.SigmoidNoAuxTc s -> {
        Set<Integer> kept = groups(choice, s.numGroups(), s.topKGroups(), 2);
        boolean zero = s.maskedGroups() == RouterSpec.MaskedGroups.ZERO;
        yield mask(choice, s.numGroups(), kept, zero);
      }
      case RouterSpec.SoftmaxGroupLimited s ->
          mask(choice, s.numGroups(), groups(choice, s.numGroups(), s.topKGroups(), 1), false);
      default -> IntStream.range(0, choice.length).boxed().toList();
    };
  }

  /** The best groups by the sum of their summands largest scores. */
  private Set<Integer> groups(double[] choice, int numGroups, int kept, int summands) {
    int size = choice.length / numGroups;
    double[] score = new double[numGroups];
    for (int g = 0; g < numGroups; g++) {
      score[g] =
          IntStream.range(g * size, (g + 1) * size)
              .mapToDouble(e -> -choice[e])
              .sorted()
              .limit(summands)
              .map(v -> -v)
              .sum();
    }
    return new HashSet<>(best(IntStream.range(0, numGroups).boxed().toList(), score, kept));
  }

  private static List<Integer> mask(
      double[] choice, int numGroups, Set<Integer> kept, boolean zero) {
    int size = choice.length / numGroups;
    List<Integer> candidates = new ArrayList<>();
    for (int e = 0; e < choice.length; e++) {
      boolean inside = kept.contains(e / size);
      if (!inside && zero) {
        choice[e] = 0;
      }
      if (inside || zero) {
        candidates.add(e);
      }
    }
    return candidates;
  }

  private List<Integer> best(List<Integer> candidates, double[] score, int k) {
    List<Integer> sorted =
        candidates.stream()
            .sorted(Comparator.<Integer>comparingDouble(e -> -score[e]).thenComparing(e -> e))
            .toList();
    if (k < sorted.size()) {
      margin = Math.min(margin, score[sorted.get(k - 1)] - score[sorted.get(k)]);
    }
    return sorted.subList(0, k);
  }

  private static double weight(RouterSpec spec, double score, double sum) {
    return switch (spec) {
      case RouterSpec.SigmoidNoAuxTc s ->
          (s.normTopKProb() ? score / (sum + 1e-20) : score) * s.routedScalingFactor();
      case RouterSpec.SqrtSoftplusNoAuxTc s -> score / (sum + 1e-20) * s.routedScalingFactor();
      case RouterSpec.SoftmaxGreedy s ->
          s.normTopKProb() && s.topK() > 1
              ? score / (sum + 1e-20)
              : score * s.routedScalingFactor();
      case RouterSpec.SoftmaxGroupLimited s ->
          s.normTopKProb() && s.topK() > 1
              ? score / (sum + 1e-20)
              : score * s.routedScalingFactor();
    };
  }
}
