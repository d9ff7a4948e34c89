package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.TokenCounts;
import dev.fathom.sampling.CounterRandom;
import dev.fathom.sampling.HostSampler;
import dev.fathom.sampling.RepetitionGuard;
import dev.fathom.sampling.TokenConstraint;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Guesses never change what a request puts out, and save steps where they hold. */
class SpeculativeEngineTest {

  private static final Tokenizer TOKENIZER =
      Tokenizer.load(Path.of("..", "examples", "models", "sample", "tokenizer.json"));
  private static final int[] NO_IDS = {};
  private static final int VOCAB = TaggedExecutable.VOCAB;

  private static EngineOptions options(int context, int sequences, int chunk, int step, int block) {
    int blocks = Math.ceilDiv(context, block) * sequences + 1;
    int tokens = Math.max(step, sequences);
    return new EngineOptions(context, sequences, chunk, tokens, tokens, block, blocks, 1000, VOCAB);
  }

  private static EngineOptions withoutPrefixes(EngineOptions options) {
    SchedulingOptions s = options.scheduling();
    return options.with(
        new SchedulingOptions(
            s.admission(),
            SchedulingOptions.PrefixCache.OFF,
            s.longPromptTokens(),
            s.watermarkPermille()));
  }

  private static DraftOptions program(int tokens) {
    return new DraftOptions(DraftOptions.Source.PROGRAM, tokens, 1, 1);
  }

  private static DraftOptions ngram(int tokens) {
    return new DraftOptions(DraftOptions.Source.NGRAM, tokens, 1, 4);
  }

  private static EngineRequest request(
      int[] prompt, int maxTokens, int minTokens, SamplingParams params, RequestControls controls) {
    return new EngineRequest(
            prompt,
            maxTokens,
            minTokens,
            List.of(params),
            new int[] {1},
            new int[] {2},
            List.of(),
            null,
            false)
        .with(controls);
  }

  private static SamplingParams params(float temperature, float penalty, long seed) {
    return new SamplingParams(temperature, 0, 1, 0, 1, penalty, penalty, seed, 0, false, null);
  }

  /** Allows a token only where the sum of the output and it keeps a rule; knows its depth. */
  private static final class SumRule implements TokenConstraint {

    private final List<Integer> taken = new ArrayList<>();

    @Override
    public boolean isActive() {
      return true;
    }

    @Override
    public void restrict(long[] allowed) {
      int sum = taken.stream().mapToInt(i -> i).sum();
      for (int i = 3; i < VOCAB; i++) {
        if ((sum + i) % 3 == 0) {
          allowed[0] &= ~(1L << i);
        }
      }
    }

    @Override
    public void accept(int token) {
      taken.add(token);
    }

    @Override
    public void rollback(int numTokens) {
      for (int i = 0; i < numTokens; i++) {
        taken.removeLast();
      }
    }
  }

  /** What a request puts out, computed without engine and guesses. */
  private static int[] alone(EngineRequest request, int contextTokens, boolean ruled) {
    HostSampler sampler = new HostSampler();
    long tag = TaggedExecutable.root();
    for (int id : request.promptIds()) {
      tag = TaggedExecutable.next(tag, id);
    }
    SamplingParams params = request.choices().getFirst();
    TokenCounts counts = params.presencePenalty() == 0 ? null : new TokenCounts();
    SumRule rule = new SumRule();
    List<Integer> out = new ArrayList<>();
    float[] logits = new float[VOCAB];
    int length = request.promptIds().length;
    while (true) {
      TaggedExecutable.logitsOf(tag, logits, 0, false);
      long[] mask = {-1};
      if (out.size() < request.minTokens()) {
        mask[0] &= ~0b110L;
      }
      if (ruled) {
        rule.restrict(mask);
      }
      SamplingRows rows = new SamplingRows(1);
      rows.add(params, length, counts, mask);
      SampledRows sampled = new SampledRows(1, 20);
      sampler.sample(rows, 0, logits, 0, logits.length, sampled);
      int token = sampled.token(0);
      out.add(token);
      rule.accept(token);
      if (counts != null) {
        counts.addOutput(token);
      }
      length++;
      boolean ends = token == 1 || token == 2;
      if (ends || out.size() == request.maxTokens() || length == contextTokens) {
        return out.stream().mapToInt(i -> i).toArray();
      }
      tag = TaggedExecutable.next(tag, token);
    }
  }

  @Test
  void everyRequestPutsOutWhatItPutsOutWithoutGuesses() {
    DraftCounts all = DraftCounts.NONE;
    DraftCounts looked = DraftCounts.NONE;
    for (int seed = 0; seed < 120; seed++) {
      Random random = new Random(seed);
      int sequences = 1 + random.nextInt(4);
      EngineOptions options =
          options(
              8 + random.nextInt(40),
              sequences,
              1 + random.nextInt(12),
              sequences + random.nextInt(20),
              1 + random.nextInt(4));
      DraftingExecutable executable = new DraftingExecutable(options, random.nextDouble());
      try (Engine engine = new Engine(options, executable, TOKENIZER)) {
        for (boolean program : new boolean[] {true, false}) {
          DraftCounts some = simulate(engine, options, random, seed, program);
          all = all.plus(program ? some : DraftCounts.NONE);
          looked = looked.plus(program ? DraftCounts.NONE : some);
        }
        assertThat(engine.usedBlocks()).as("seed %d", seed).isZero();
      }
      assertThat(executable.main.largestStep).isLessThanOrEqualTo(options.stepTokens());
    }
    assertThat(all.accepted()).isGreaterThan(200);
    assertThat(all.drafted() - all.accepted()).isGreaterThan(200);
    assertThat(looked.drafted()).isGreaterThan(200);
    assertThat(looked.accepted()).isPositive();
  }

  private static DraftCounts simulate(
      Engine engine, EngineOptions options, Random random, int seed, boolean program) {
    List<EngineRequest> requests = new ArrayList<>();
    List<Recorder> recorders = new ArrayList<>();
    List<Boolean> ruled = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      int[] prompt = random.ints(1 + random.nextInt(options.contextTokens() - 1), 3, 9).toArray();
      int guesses = 1 + random.nextInt(4);
      RequestControls controls =
          RequestControls.NONE.drafting(program ? program(guesses) : ngram(guesses));
      boolean rules = random.nextInt(3) == 0;
      if (rules) {
        controls = controls.constrainedBy(SumRule::new);
      }
      float penalty = random.nextInt(3) == 0 ? 0.7f : 0;
      SamplingParams params = params(random.nextInt(3) * 0.7f, penalty, random.nextLong());
      int maxTokens = 1 + random.nextInt(24);
      EngineRequest request =
          request(prompt, maxTokens, random.nextInt(1 + maxTokens), params, controls);
      Recorder recorder = new Recorder();
      requests.add(request);
      recorders.add(recorder);
      ruled.add(rules);
      Engine.Ticket ticket = engine.submit(request, recorder);
      if (random.nextInt(6) == 0) {
        ticket.cancel();
      }
    }
    DraftCounts counts = DraftCounts.NONE;
    for (int i = 0; i < requests.size(); i++) {
      RequestOutcome outcome = recorders.get(i).await();
      assertThat(outcome.failure()).as("seed %d request %d", seed, i).isNull();
      int[] expected = alone(requests.get(i), options.contextTokens(), ruled.get(i));
      int[] actual = recorders.get(i).tokens(0);
      boolean cancelled = outcome.choices().getFirst().reason() == EndReason.CANCELLED;
      assertThat(actual)
          .as("seed %d request %d", seed, i)
          .isEqualTo(cancelled ? Arrays.copyOf(expected, actual.length) : expected);
      counts = counts.plus(outcome.drafts());
    }
    return counts;
  }

  @Test
  void aDraftProgramKeepsItsOwnCacheComplete() {
    for (int seed = 0; seed < 40; seed++) {
      Random random = new Random(seed);
      EngineOptions options = withoutPrefixes(options(48, 2, 1 + random.nextInt(6), 24, 3));
      DraftingExecutable executable = new DraftingExecutable(options, 0.4);
      try (Engine engine = new Engine(options, executable, TOKENIZER)) {
        simulate(engine, options, random, seed, true);
      }
      assertThat(executable.numDraftSteps.get()).isPositive();
      assertThat(executable.numGaps.get()).as("seed %d", seed).isZero();
    }
  }

  @Test
  void guessesThatHoldSaveTheSteps() {
    EngineOptions options = options(200, 1, 32, 32, 4);
    for (int guesses : new int[] {1, 2, 4}) {
      DraftingExecutable executable = new DraftingExecutable(options, 0);
      RequestOutcome outcome;
      try (Engine engine = new Engine(options, executable, TOKENIZER)) {
        Recorder recorder = new Recorder();
        RequestControls controls = RequestControls.NONE.drafting(program(guesses));
        int[] prompt = {5, 6, 7};
        SamplingParams greedy = params(0, 0, 1);
        EngineRequest endless =
            new EngineRequest(
                    prompt, 101, 0, List.of(greedy), NO_IDS, NO_IDS, List.of(), null, false)
                .with(controls);
        engine.submit(endless, recorder);
        outcome = recorder.await();
      }
      assertThat(outcome.choices().getFirst().tokens()).hasSize(101);
      assertThat(outcome.drafts().accepted()).isEqualTo(outcome.drafts().drafted());
      int steps = 1 + Math.ceilDiv(100, guesses + 1);
      assertThat(executable.main.numSteps.get()).as("guesses=%d", guesses).isEqualTo(steps);
      assertThat(outcome.drafts().accepted()).isEqualTo(101 - steps);
    }
  }

  @Test
  void aDraftStepThatFailsCostsItsGuessesOnly() {
    EngineOptions options = options(60, 1, 32, 32, 4);
    EngineRequest request =
        request(
            new int[] {5, 6, 7},
            40,
            40,
            params(1, 0, 9),
            RequestControls.NONE.drafting(program(3)));
    for (int failAt = 1; failAt < 12; failAt++) {
      DraftingExecutable executable = new DraftingExecutable(options, 0.3);
      executable.failAt = failAt;
      try (Engine engine = new Engine(options, executable, TOKENIZER)) {
        Recorder recorder = new Recorder();
        engine.submit(request, recorder);
        assertThat(recorder.tokens(0)).isEqualTo(alone(request, 60, false));
      }
    }
  }

  @Test
  void choicesOfOneRequestGuessEachForItself() {
    EngineOptions options = options(60, 3, 8, 24, 4);
    DraftingExecutable executable = new DraftingExecutable(options, 0.3);
    List<SamplingParams> choices = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      choices.add(params(1, 0, CounterRandom.seedOfChoice(3, i)));
    }
    int[] prompt = {5, 6, 7, 8, 5, 6};
    try (Engine engine = new Engine(options, executable, TOKENIZER)) {
      EngineRequest many =
          new EngineRequest(
                  prompt, 30, 30, choices, new int[] {1}, new int[] {2}, List.of(), null, false)
              .with(RequestControls.NONE.drafting(program(2)));
      Recorder recorder = new Recorder();
      engine.submit(many, recorder);
      for (int c = 0; c < choices.size(); c++) {
        EngineRequest one = request(prompt, 30, 30, choices.get(c), RequestControls.NONE);
        assertThat(recorder.tokens(c)).as("choice %d", c).isEqualTo(alone(one, 60, false));
      }
      assertThat(recorder.await().drafts().accepted()).isPositive();
    }
  }

  @Test
  void aRepetitionGuardEndsAtTheSameTokenWithGuesses() {
    EngineOptions options = options(120, 1, 32, 32, 4);
    RepetitionGuard guard = new RepetitionGuard(1, 1, 2);
    List<int[]> outputs = new ArrayList<>();
    for (DraftOptions drafts : List.of(DraftOptions.NONE, program(4), ngram(4))) {
      DraftingExecutable executable = new DraftingExecutable(options, 0.1);
      try (Engine engine = new Engine(options, executable, TOKENIZER)) {
        RequestControls controls =
            new RequestControls(RequestControls.NO_TIMEOUT, List.of(), List.of(), guard)
                .drafting(drafts);
        Recorder recorder = new Recorder();
        engine.submit(request(new int[] {5}, 100, 100, params(2, 0, 3), controls), recorder);
        outputs.add(recorder.tokens(0));
        assertThat(recorder.await().choices().getFirst().reason()).isEqualTo(EndReason.REPETITION);
      }
    }
    assertThat(outputs.get(1)).isEqualTo(outputs.get(0));
    assertThat(outputs.get(2)).isEqualTo(outputs.get(0));
  }

  /**
   * The token behind the first one, which rows behind guesses sample: how often each came, grouped
   * by the first, against the probabilities that the logits give.
   */
  @Test
  void sampledTokensFollowTheDistributionOfTheModelByAChiSquaredTest() {
    int runs = 6000;
    EngineOptions options = options(16, 8, 8, 64, 4);
    for (DraftOptions drafts : List.of(DraftOptions.NONE, program(2), ngram(3))) {
      int[] prompt = {5, 6, 7, 5};
      DraftingExecutable executable = new DraftingExecutable(options, 0.5);
      int[][] seen = new int[VOCAB][VOCAB];
      DraftCounts counts = DraftCounts.NONE;
      try (Engine engine = new Engine(options, executable, TOKENIZER)) {
        List<Recorder> recorders = new ArrayList<>();
        for (int run = 0; run < runs; run++) {
          Recorder recorder = new Recorder();
          RequestControls controls = RequestControls.NONE.drafting(drafts);
          engine.submit(request(prompt, 4, 4, params(1.3f, 0, 1000L + run), controls), recorder);
          recorders.add(recorder);
          if (recorders.size() == 500) {
            counts = counts.plus(tally(recorders, seen));
          }
        }
      }
      assertThat(counts.drafted() > 0).isEqualTo(drafts.maxTokens() > 0);
      long tag = TaggedExecutable.root();
      for (int id : prompt) {
        tag = TaggedExecutable.next(tag, id);
      }
      double statistic = 0;
      int freedom = 0;
      for (int first = 3; first < VOCAB; first++) {
        int n = Arrays.stream(seen[first]).sum();
        double[] p = probabilities(TaggedExecutable.next(tag, first), 1.3);
        double[] bin = bins(seen[first], p, n);
        statistic += bin[0];
        freedom += (int) bin[1];
      }
      // Wilson and Hilferty: the statistic's cube root is nearly normal; 3.5 deviations.
      double z =
          (Math.cbrt(statistic / freedom) - (1 - 2.0 / (9 * freedom)))
              / Math.sqrt(2.0 / (9 * freedom));
      assertThat(freedom).isGreaterThan(100);
      assertThat(z).as("%s: chi-squared %f of %d", drafts, statistic, freedom).isBetween(-3.5, 3.5);
    }
  }

  private static DraftCounts tally(List<Recorder> recorders, int[][] seen) {
    DraftCounts counts = DraftCounts.NONE;
    for (Recorder recorder : recorders) {
      int[] tokens = recorder.tokens(0);
      seen[tokens[0]][tokens[1]]++;
      counts = counts.plus(recorder.await().drafts());
    }
    recorders.clear();
    return counts;
  }

  /** End tokens are forbidden by the least length. */
  private static double[] probabilities(long tag, double temperature) {
    float[] logits = new float[VOCAB];
    TaggedExecutable.logitsOf(tag, logits, 0, false);
    double[] p = new double[VOCAB];
    double sum = 0;
    for (int i = 0; i < VOCAB; i++) {
      p[i] = i == 1 || i == 2 ? 0 : Math.exp(logits[i] / temperature);
      sum += p[i];
    }
    for (int i = 0; i < VOCAB; i++) {
      p[i] /= sum;
    }
    return p;
  }

  /** Statistic and degrees of freedom; tokens expected less than 5 times share a bin. */
  private static double[] bins(int[] seen, double[] p, int n) {
    double statistic = 0;
    int numBins = 0;
    double restExpected = 0;
    int restSeen = 0;
    for (int i = 0; i < VOCAB; i++) {
      double expected = p[i] * n;
      if (expected < 5) {
        restExpected += expected;
        restSeen += seen[i];
      } else {
        statistic += (seen[i] - expected) * (seen[i] - expected) / expected;
        numBins++;
      }
    }
    if (restExpected >= 5) {
      statistic += (restSeen - restExpected) * (restSeen - restExpected) / restExpected;
      numBins++;
    }
    return numBins < 2 ? new double[] {0, 0} : new double[] {statistic, numBins - 1};
  }
}
