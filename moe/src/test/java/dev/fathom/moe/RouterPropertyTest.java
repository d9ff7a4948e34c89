package dev.fathom.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.sun.management.ThreadMXBean;
import dev.fathom.moe.RouterSpec.MaskedGroups;
import dev.fathom.moe.RouterSpec.SigmoidNoAuxTc;
import dev.fathom.moe.RouterSpec.SoftmaxGreedy;
import dev.fathom.moe.RouterSpec.SoftmaxGroupLimited;
import dev.fathom.moe.RouterSpec.SqrtSoftplusNoAuxTc;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Random rules and logits against a model that sorts lists, plus extremes and allocation. */
class RouterPropertyTest {
  @Test
  void everyRuleChoosesAndWeighsLikeAModelThatSortsLists() {
    SplittableRandom random = new SplittableRandom(31);
    for (int round = 0; round < 4000; round++) {
      RouterSpec spec = randomSpec(random);
      int numExperts = spec.numExperts();
      boolean ties = random.nextBoolean();
      float[] logits = randomFloats(numExperts, ties, random);
      boolean hasBias = spec.usesBias() && random.nextInt(4) > 0;
      float[] bias = hasBias ? randomFloats(numExperts, ties, random) : null;
      int[] ids = new int[spec.topK()];
      float[] weights = new float[spec.topK()];
      Router.route(spec, logits, 0, bias, ids, weights, 0, new RouterScratch(numExperts));

      List<Integer> expected = modelIds(spec, logits, bias);
      assertThat(ids)
          .as("round %d %s", round, spec)
          .containsExactly(expected.stream().mapToInt(Integer::intValue).toArray());
      assertWeights(spec, logits, ids, weights);
    }
  }

  private static RouterSpec randomSpec(SplittableRandom random) {
    int numGroups = random.nextInt(1, 7);
    int groupSize = random.nextInt(2, 9);
    int numExperts = numGroups * groupSize;
    int topKGroups = random.nextInt(1, numGroups + 1);
    int topK = random.nextInt(1, topKGroups * groupSize + 1);
    double factor = random.nextDouble(0.5, 16);
    boolean norm = random.nextBoolean();
    MaskedGroups masked = MaskedGroups.values()[random.nextInt(2)];
    return switch (random.nextInt(4)) {
      case 0 -> new SigmoidNoAuxTc(numExperts, topK, numGroups, topKGroups, norm, factor, masked);
      case 1 -> new SoftmaxGroupLimited(numExperts, topK, numGroups, topKGroups, norm, factor);
      case 2 -> new SoftmaxGreedy(numExperts, topK, norm, factor);
      default -> new SqrtSoftplusNoAuxTc(numExperts, topK, factor);
    };
  }

  private static float[] randomFloats(int n, boolean ties, SplittableRandom random) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = ties ? random.nextInt(-2, 3) : (float) (2 * random.nextGaussian());
    }
    return values;
  }

  private static double score(RouterSpec spec, float[] logits, int e) {
    return switch (spec) {
      case SigmoidNoAuxTc s -> 1 / (1 + Math.exp(-logits[e]));
      case SqrtSoftplusNoAuxTc s -> Math.sqrt(Math.log(1 + Math.exp(logits[e])));
      case SoftmaxGreedy s -> softmax(logits, e);
      case SoftmaxGroupLimited s -> softmax(logits, e);
    };
  }

  private static double softmax(float[] logits, int e) {
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit);
    }
    return Math.exp(logits[e]) / sum;
  }

  private static List<Integer> modelIds(RouterSpec spec, float[] logits, float @Nullable [] bias) {
    Float[] choice = new Float[logits.length];
    for (int e = 0; e < logits.length; e++) {
      float score = (float) score(spec, logits, e);
      choice[e] = bias == null ? score : score + bias[e];
    }
    List<Integer> candidates =
        switch (spec) {
          case SigmoidNoAuxTc s -> {
            Set<Integer> kept = keptGroups(choice, s.numGroups(), s.topKGroups(), 2);
            yield mask(choice, s.numGroups(), kept, s.maskedGroups());
          }
          case SoftmaxGroupLimited s -> {
            Set<Integer> kept = keptGroups(choice, s.numGroups(), s.topKGroups(), 1);
            yield mask(choice, s.numGroups(), kept, MaskedGroups.NEG_INFINITY);
          }
          case SoftmaxGreedy s -> all(choice.length);
          case SqrtSoftplusNoAuxTc s -> all(choice.length);
        };
    return best(candidates, choice, spec.topK());
  }

  private static List<Integer> all(int n) {
    return new ArrayList<>(IntStream.range(0, n).boxed().toList());
  }

  /** Stable sort, so ties stay in index order; -0 and 0 are the same score. */
  private static List<Integer> best(List<Integer> candidates, Float[] score, int count) {
    Comparator<Integer> descending = Comparator.comparing(e -> -(score[e] + 0f));
    return candidates.stream().sorted(descending).limit(count).toList();
  }

  private static Set<Integer> keptGroups(Float[] choice, int numGroups, int topKGroups, int best) {
    int size = choice.length / numGroups;
    Float[] scores = new Float[numGroups];
    for (int g = 0; g < numGroups; g++) {
      List<Integer> members = new ArrayList<>(all(choice.length).subList(g * size, (g + 1) * size));
      float sum = 0;
      for (int e : best(members, choice, best)) {
        sum += choice[e];
      }
      scores[g] = sum;
    }
    return new HashSet<>(best(all(numGroups), scores, topKGroups));
  }

  private static List<Integer> mask(
      Float[] choice, int numGroups, Set<Integer> kept, MaskedGroups masked) {
    int size = choice.length / numGroups;
    List<Integer> candidates = all(choice.length);
    if (masked == MaskedGroups.NEG_INFINITY) {
      candidates.removeIf(e -> !kept.contains(e / size));
    } else {
      candidates.stream().filter(e -> !kept.contains(e / size)).forEach(e -> choice[e] = 0f);
    }
    return candidates;
  }

  private static void assertWeights(RouterSpec spec, float[] logits, int[] ids, float[] weights) {
    double sum = 1e-20;
    for (int id : ids) {
      sum += score(spec, logits, id);
    }
    for (int k = 0; k < ids.length; k++) {
      double score = score(spec, logits, ids[k]);
      double expected =
          switch (spec) {
            case SigmoidNoAuxTc s ->
                (s.normTopKProb() ? score / sum : score) * s.routedScalingFactor();
            case SqrtSoftplusNoAuxTc s -> score / sum * s.routedScalingFactor();
            case SoftmaxGreedy s ->
                s.normTopKProb() && s.topK() > 1 ? score / sum : score * s.routedScalingFactor();
            case SoftmaxGroupLimited s ->
                s.normTopKProb() && s.topK() > 1 ? score / sum : score * s.routedScalingFactor();
          };
      assertThat((double) weights[k]).isCloseTo(expected, within(3e-6 * expected));
    }
  }

  @Test
  void idsAreDistinctAndInRangeWhateverTheLogitsAre() {
    SplittableRandom random = new SplittableRandom(32);
    float[] extremes = {
      Float.NaN,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY,
      0f,
      -0f,
      Float.MAX_VALUE,
      -Float.MAX_VALUE,
      Float.MIN_VALUE,
      1f
    };
    for (int round = 0; round < 4000; round++) {
      RouterSpec spec = randomSpec(random);
      int kinds = random.nextInt(1, extremes.length + 1);
      float[] logits = new float[spec.numExperts()];
      float[] bias = spec.usesBias() ? new float[spec.numExperts()] : null;
      for (int e = 0; e < logits.length; e++) {
        logits[e] = extremes[random.nextInt(kinds)];
        if (bias != null) {
          bias[e] = extremes[random.nextInt(kinds)];
        }
      }
      int[] ids = new int[spec.topK()];
      float[] weights = new float[spec.topK()];
      Router.route(spec, logits, 0, bias, ids, weights, 0, new RouterScratch(spec.numExperts()));

      assertThat(ids).as("round %d %s", round, spec).doesNotHaveDuplicates();
      for (int id : ids) {
        assertThat(id).isBetween(0, spec.numExperts() - 1);
      }
    }
  }

  @Test
  void aUsedScratchGivesTheSameResultAsAFreshOne() {
    SplittableRandom random = new SplittableRandom(33);
    RouterScratch used = new RouterScratch(60);
    for (int round = 0; round < 500; round++) {
      RouterSpec spec = randomSpec(random);
      float[] logits = randomFloats(spec.numExperts(), true, random);
      int[] ids = new int[2 * spec.topK()];
      float[] weights = new float[2 * spec.topK()];
      Router.route(spec, logits, 0, null, ids, weights, 0, used);
      RouterScratch fresh = new RouterScratch(spec.numExperts());
      Router.route(spec, logits, 0, null, ids, weights, spec.topK(), fresh);
      for (int k = 0; k < spec.topK(); k++) {
        assertThat(ids[k]).isEqualTo(ids[spec.topK() + k]);
        assertThat(weights[k]).isEqualTo(weights[spec.topK() + k]);
      }
    }
  }

  @Test
  void routingAllocatesNothing() {
    RouterSpec[] specs = {
      new SigmoidNoAuxTc(256, 8, 8, 4, true, 2.5),
      new SigmoidNoAuxTc(256, 8, 8, 4, true, 2.5, MaskedGroups.ZERO),
      new SoftmaxGreedy(64, 6, false, 1),
      new SoftmaxGroupLimited(160, 6, 8, 3, false, 16),
      new SqrtSoftplusNoAuxTc(256, 6, 1.5)
    };
    float[] logits = randomFloats(256, false, new SplittableRandom(34));
    int[] ids = new int[8];
    float[] weights = new float[8];
    RouterScratch scratch = new RouterScratch(256);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long allocated = Long.MAX_VALUE;
    for (int round = 0; round < 5 && allocated > 0; round++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 500; i++) {
        for (RouterSpec spec : specs) {
          Router.route(spec, logits, 0, null, ids, weights, 0, scratch);
        }
      }
      allocated = threads.getCurrentThreadAllocatedBytes() - before;
    }
    assertThat(allocated).isZero();
  }
}
