package dev.fathom.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.SamplingParams.LogitBias;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.TokenCounts;
import java.util.Arrays;
import java.util.Random;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class HostSamplerTest {

  private static final int DRAWS = 20_000;

  private final HostSampler sampler = new HostSampler();
  private final SampledRows out = new SampledRows(1, 20);

  /** Parameters that start as plain sampling at temperature 1. */
  private static final class Params {
    private float temperature = 1;
    private int topK;
    private float topP = 1;
    private float minP;
    private float repetition = 1;
    private float presence;
    private float frequency;
    private long seed = 42;
    private int top;
    private boolean processed;
    private @Nullable LogitBias bias;

    SamplingParams build() {
      return new SamplingParams(
          temperature,
          topK,
          topP,
          minP,
          repetition,
          presence,
          frequency,
          seed,
          top,
          processed,
          bias);
    }
  }

  private int sample(
      SamplingParams params,
      long position,
      @Nullable TokenCounts counts,
      long @Nullable [] mask,
      float... logits) {
    SamplingRows rows = new SamplingRows(1);
    rows.add(params, position, counts, mask);
    sampler.sample(rows, 0, logits.clone(), 0, logits.length, out);
    return out.token(0);
  }

  private int[] histogram(SamplingParams params, float... logits) {
    int[] counts = new int[logits.length];
    for (int position = 0; position < DRAWS; position++) {
      counts[sample(params, position, null, null, logits)]++;
    }
    return counts;
  }

  /** Asserts that counts follow the probabilities; the bound is far beyond the 0.9999 quantile. */
  private static void follows(int[] counts, double... probabilities) {
    double chiSquared = 0;
    int cells = 0;
    for (int i = 0; i < counts.length; i++) {
      if (probabilities[i] == 0) {
        assertThat(counts[i]).as("token %d", i).isZero();
        continue;
      }
      double expected = probabilities[i] * DRAWS;
      chiSquared += (counts[i] - expected) * (counts[i] - expected) / expected;
      cells++;
    }
    assertThat(chiSquared).as(Arrays.toString(counts)).isLessThan(cells + 8 * Math.sqrt(2 * cells));
  }

  private static float[] logs(double... probabilities) {
    float[] logits = new float[probabilities.length];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) Math.log(probabilities[i]) + 3;
    }
    return logits;
  }

  @Test
  void temperatureZeroTakesTheLargestLogitAndTheLowestIdOnTies() {
    assertThat(sample(SamplingParams.GREEDY, 0, null, null, 1, 3, 2, 3)).isEqualTo(1);
    assertThat(sample(SamplingParams.GREEDY, 0, null, null, 5, 5, 5)).isZero();
    assertThat(sample(SamplingParams.GREEDY, 0, null, null, -2, -1)).isEqualTo(1);
  }

  @Test
  void drawsFollowTheSoftmax() {
    follows(histogram(new Params().build(), logs(0.5, 0.3, 0.15, 0.05)), 0.5, 0.3, 0.15, 0.05);
  }

  @Test
  void temperatureDividesTheLogits() {
    Params params = new Params();
    params.temperature = 0.5f;
    double sum = 0.25 + 0.09 + 0.04;
    follows(histogram(params.build(), logs(0.5, 0.3, 0.2)), 0.25 / sum, 0.09 / sum, 0.04 / sum);
  }

  @Test
  void topKKeepsKTokensAndTheLowestIdsOfTies() {
    Params params = new Params();
    params.topK = 2;
    follows(histogram(params.build(), logs(0.2, 0.5, 0.2, 0.1)), 2 / 7.0, 5 / 7.0, 0, 0);
    params.topK = 1;
    follows(histogram(params.build(), logs(0.2, 0.4, 0.4)), 0, 1, 0);
    params.topK = 9;
    follows(histogram(params.build(), logs(0.6, 0.4)), 0.6, 0.4);
  }

  @Test
  void topPKeepsTheSmallestSetThatReachesIt() {
    Params params = new Params();
    params.topP = 0.8f;
    follows(histogram(params.build(), logs(0.5, 0.3, 0.15, 0.05)), 0.625, 0.375, 0, 0);
    params.topP = 0.81f;
    double kept = 0.95;
    follows(
        histogram(params.build(), logs(0.5, 0.3, 0.15, 0.05)),
        0.5 / kept,
        0.3 / kept,
        0.15 / kept,
        0);
    params.topP = 1e-9f;
    follows(histogram(params.build(), logs(0.3, 0.4, 0.3)), 0, 1, 0);
    params.topP = 1;
    follows(histogram(params.build(), logs(0.9, 0.1)), 0.9, 0.1);
  }

  @Test
  void topPLooksAtWhatTopKLeft() {
    Params params = new Params();
    params.topK = 2;
    params.topP = 0.6f;
    follows(histogram(params.build(), logs(0.4, 0.2, 0.2, 0.2)), 1, 0, 0, 0);
  }

  @Test
  void minPDropsWhatIsLessProbableThanItsShareOfTheBest() {
    Params params = new Params();
    params.minP = 0.5f;
    follows(histogram(params.build(), logs(0.5, 0.3, 0.2)), 0.625, 0.375, 0);
    params.minP = 1;
    follows(histogram(params.build(), logs(0.4, 0.4, 0.2)), 0.5, 0.5, 0);
  }

  @Test
  void repetitionPenaltyDividesPositiveAndMultipliesNegativeLogitsOfSeenTokens() {
    Params params = new Params();
    params.repetition = 2;
    params.processed = true;
    params.temperature = 0;
    params.top = 4;
    TokenCounts counts = new TokenCounts();
    counts.addPrompt(0);
    counts.addOutput(1);
    sample(params.build(), 0, counts, null, 4, -1, 2.5f, -3);
    double logSum = Math.log(Math.exp(2) + Math.exp(-2) + Math.exp(2.5) + Math.exp(-3));
    assertThat(out.token(0)).isEqualTo(2);
    assertThat((double) logprobOf(0)).isCloseTo(2 - logSum, within(1e-6));
    assertThat((double) logprobOf(1)).isCloseTo(-2 - logSum, within(1e-6));
    assertThat((double) logprobOf(3)).isCloseTo(-3 - logSum, within(1e-6));
  }

  private float logprobOf(int token) {
    for (int i = 0; i < out.numTop(0); i++) {
      if (out.topToken(0, i) == token) {
        return out.topLogprob(0, i);
      }
    }
    throw new AssertionError("not among the alternatives: " + token);
  }

  @Test
  void presenceCountsOnceAndFrequencyEachTimeAndThePromptNot() {
    Params params = new Params();
    params.presence = 0.5f;
    params.frequency = 0.25f;
    params.processed = true;
    params.temperature = 0;
    params.top = 3;
    TokenCounts counts = new TokenCounts();
    counts.addPrompt(0);
    counts.addOutput(1);
    counts.addOutput(1);
    counts.addOutput(1);
    sample(params.build(), 0, counts, null, 1, 1, 1);
    double logSum = Math.log(2 * Math.exp(1) + Math.exp(1 - 0.5 - 0.75));
    assertThat((double) logprobOf(0)).isCloseTo(1 - logSum, within(1e-6));
    assertThat((double) logprobOf(1)).isCloseTo(1 - 1.25 - logSum, within(1e-6));
  }

  @Test
  void biasIsAddedAndTheMaskForbids() {
    Params params = new Params();
    params.temperature = 0;
    params.bias = new LogitBias(new int[] {2}, new float[] {10});
    assertThat(sample(params.build(), 0, null, null, 1, 2, 0)).isEqualTo(2);
    assertThat(sample(params.build(), 0, null, new long[] {0b011}, 1, 2, 0)).isEqualTo(1);
    params.temperature = 1;
    follows(maskedHistogram(params.build()), 0.25, 0, 0.75);
  }

  private int[] maskedHistogram(SamplingParams params) {
    int[] counts = new int[3];
    float[] logits = logs(0.25, 0.5, 0.75);
    logits[2] -= 10;
    for (int position = 0; position < DRAWS; position++) {
      counts[sample(params, position, null, new long[] {0b101}, logits)]++;
    }
    return counts;
  }

  @Test
  void theSameSeedAndPositionGiveTheSameTokenWhateverCameBefore() {
    float[] logits = logs(0.25, 0.25, 0.25, 0.25);
    SamplingParams params = new Params().build();
    int[] forward = new int[50];
    for (int i = 0; i < 50; i++) {
      forward[i] = sample(params, i, null, null, logits);
    }
    HostSampler other = new HostSampler();
    for (int i = 49; i >= 0; i--) {
      SamplingRows rows = new SamplingRows(1);
      rows.add(params, i, null, null);
      other.sample(rows, 0, logits.clone(), 0, 4, out);
      assertThat(out.token(0)).isEqualTo(forward[i]);
    }
    Params changed = new Params();
    changed.seed = 43;
    int differ = 0;
    for (int i = 0; i < 50; i++) {
      differ += sample(changed.build(), i, null, null, logits) == forward[i] ? 0 : 1;
    }
    assertThat(differ).isGreaterThan(20);
  }

  @Test
  void rawLogProbabilitiesIgnoreEverythingThatIsAppliedToTheLogits() {
    Params params = new Params();
    params.temperature = 0.3f;
    params.topK = 1;
    params.bias = new LogitBias(new int[] {0}, new float[] {50});
    params.top = 2;
    assertThat(sample(params.build(), 0, null, null, logs(0.2, 0.5, 0.3))).isZero();
    assertThat((double) out.logprob(0)).isCloseTo(Math.log(0.2), within(1e-6));
    assertThat(out.topToken(0, 0)).isEqualTo(1);
    assertThat(out.topToken(0, 1)).isEqualTo(2);
    assertThat((double) out.topLogprob(0, 1)).isCloseTo(Math.log(0.3), within(1e-6));
  }

  @Test
  void processedLogProbabilitiesAreThoseOfWhatIsDrawnFrom() {
    Params params = new Params();
    params.temperature = 0.5f;
    params.topK = 2;
    params.processed = true;
    params.top = 5;
    int token = sample(params.build(), 0, null, null, logs(0.5, 0.3, 0.2));
    double[] expected = {0.25 / 0.34, 0.09 / 0.34};
    assertThat((double) out.logprob(0)).isCloseTo(Math.log(expected[token]), within(1e-6));
    assertThat(out.numTop(0)).isEqualTo(2);
    assertThat((double) out.topLogprob(0, 1)).isCloseTo(Math.log(expected[1]), within(1e-6));
  }

  @Test
  void alternativesAreTheMostProbableWithTheLowestIdFirstOnTies() {
    Params params = new Params();
    params.top = 20;
    float[] logits = new float[100];
    Random random = new Random(5);
    for (int i = 0; i < 100; i++) {
      logits[i] = random.nextInt(8);
    }
    sample(params.build(), 0, null, null, logits);
    Integer[] ranked = new Integer[100];
    Arrays.setAll(ranked, i -> i);
    Arrays.sort(ranked, (a, b) -> Float.compare(logits[b], logits[a]));
    for (int i = 0; i < 20; i++) {
      assertThat(out.topToken(0, i)).isEqualTo(ranked[i]);
    }
  }

  @Test
  void nanIsNeverTakenAndARowWithoutAFiniteLogitFails() {
    float nan = Float.NaN;
    float inf = Float.POSITIVE_INFINITY;
    assertThat(sample(SamplingParams.GREEDY, 0, null, null, nan, 1, nan)).isEqualTo(1);
    assertThat(sample(new Params().build(), 0, null, null, nan, 1, -inf)).isEqualTo(1);
    assertThat(sample(SamplingParams.GREEDY, 0, null, null, 1, inf, nan)).isEqualTo(1);
    assertThat(sample(SamplingParams.GREEDY, 0, null, null, nan, nan))
        .isEqualTo(HostSampler.NOT_FINITE);
    assertThat(sample(SamplingParams.GREEDY, 0, null, null, nan, inf, -inf))
        .isEqualTo(HostSampler.NOT_FINITE);
    assertThat(sample(new Params().build(), 0, null, new long[] {0}, 1, 2))
        .isEqualTo(HostSampler.NONE_ALLOWED);
    assertThat(sample(SamplingParams.GREEDY, 0, null, new long[] {0}, 1, 2))
        .isEqualTo(HostSampler.NONE_ALLOWED);
  }

  @Test
  void aRowInTheMiddleOfAnArrayIsSampledAlone() {
    float[] logits = {9, 9, 1, 5, 2, 9, 9};
    SamplingRows rows = new SamplingRows(1);
    rows.addGreedy();
    sampler.sample(rows, 0, logits, 2, 3, out);
    assertThat(out.token(0)).isEqualTo(1);
    assertThat(logits).containsExactly(9, 9, 1, 5, 2, 9, 9);
  }

  @Test
  void aLargeVocabularyKeepsExactlyTheHeadOfTheRanking() {
    int vocab = 129_280;
    Random random = new Random(11);
    float[] logits = new float[vocab];
    for (int i = 0; i < vocab; i++) {
      logits[i] = (float) (random.nextGaussian() * 3);
    }
    Params params = new Params();
    params.topK = 40;
    float[] sorted = logits.clone();
    Arrays.sort(sorted);
    TreeSet<Integer> seen = new TreeSet<>();
    for (int position = 0; position < 300; position++) {
      seen.add(sample(params.build(), position, null, null, logits));
    }
    assertThat(seen).allMatch(token -> logits[token] >= sorted[vocab - 40]);
    assertThat(seen.size()).isGreaterThan(20);
  }

  @Test
  void steadySamplingAllocatesNothing() {
    var threads =
        (com.sun.management.ThreadMXBean) java.lang.management.ManagementFactory.getThreadMXBean();
    Params params = new Params();
    params.topK = 50;
    params.topP = 0.9f;
    params.minP = 0.01f;
    params.top = 20;
    params.presence = 0.5f;
    SamplingRows rows = new SamplingRows(1);
    rows.add(params.build(), 7, new TokenCounts(), new long[] {-1L, -1L, -1L, -1L});
    float[] logits = new float[256];
    for (int i = 0; i < 256; i++) {
      logits[i] = (float) Math.sin(i) * 4;
    }
    for (int i = 0; i < 100; i++) {
      sampler.sample(rows, 0, logits, 0, 256, out);
    }
    long before = threads.getCurrentThreadAllocatedBytes();
    for (int i = 0; i < 1000; i++) {
      sampler.sample(rows, 0, logits, 0, 256, out);
    }
    assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(2_000);
  }

  @Test
  void aReducedRowNeedsNoLookAtItsLogits() {
    SamplingRows rows = new SamplingRows(1);
    rows.addGreedy();
    rows.setReduced(0, 2, 3.5);
    float[] logits = {9, Float.NaN, 1, 9};
    sampler.sample(rows, 0, logits, 0, 4, out);
    assertThat(out.token(0)).isEqualTo(2);
    assertThat(out.logprob(0)).isEqualTo(1 - 3.5f);
    assertThat(sampler.changes(rows, 0)).isFalse();
    rows.clear();
    rows.addGreedy();
    assertThat(rows.isReduced(0)).as("after it was filled anew").isFalse();
  }

  @Test
  void aReducedRowThatIsAdjustedTakesTheBestOfWhatIsLeft() {
    Params params = new Params();
    params.temperature = 0;
    params.top = 2;
    float[] logits = {1, 3, 2};
    double logSum = HostSampler.logSumExp(logits, 0, 3);
    SamplingRows rows = new SamplingRows(1);
    rows.add(params.build(), 0, null, new long[] {0b101});
    rows.setReduced(0, 1, logSum);
    assertThat(sampler.changes(rows, 0)).isTrue();
    sampler.sample(rows, 0, logits.clone(), 0, 3, out);
    assertThat(out.token(0)).isEqualTo(2);
    assertThat(out.logprob(0)).isEqualTo((float) (2 - logSum));
    assertThat(out.topToken(0, 0)).isEqualTo(1);
  }

  @Test
  void aReducedRowIsDrawnFromAsAnother() {
    float[] logits = {0.5f, 2, -1, 1.5f};
    for (int position = 0; position < 100; position++) {
      Params params = new Params();
      params.topP = 0.9f;
      int token = sample(params.build(), position, null, null, logits);
      SamplingRows rows = new SamplingRows(1);
      rows.add(params.build(), position, null, null);
      rows.setReduced(0, 1, HostSampler.logSumExp(logits, 0, 4));
      sampler.sample(rows, 0, logits, 0, 4, out);
      assertThat(out.token(0)).isEqualTo(token);
    }
    assertThat(logits).containsExactly(0.5f, 2, -1, 1.5f);
  }
}
