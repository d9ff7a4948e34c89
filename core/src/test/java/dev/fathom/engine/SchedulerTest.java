package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.kvcache.GroupPool;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvGroups;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.text.Tokenizer;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;

/** Who gets tokens of a step, what it costs to decide, and what the cache holds for it. */
class SchedulerTest {

  private static final int VOCAB = 1000;
  private static final Tokenizer TOKENIZER =
      Tokenizer.load(Path.of("..", "examples", "models", "sample", "tokenizer.json"));

  private static EngineOptions options(
      int context,
      int sequences,
      int chunk,
      int step,
      int block,
      int blocks,
      SchedulingOptions how) {
    GroupPool pool = new GroupPool(block, 0, blocks);
    return new EngineOptions(
        context, sequences, chunk, step, step, List.of(pool), 1000, VOCAB, how);
  }

  /** A scheduler whose sequences sample at random, until each has its number of tokens. */
  private static final class Run {
    final Scheduler scheduler;
    final StepPlan plan;
    final RunningRequest request;
    final SplittableRandom random = new SplittableRandom(5);
    final List<Sequence> open = new ArrayList<>();
    final int context;

    Run(EngineOptions options) {
      scheduler = new Scheduler(options, 77);
      plan = new StepPlan(options.maxSequences(), options.pools().size());
      context = options.contextTokens();
      EngineRequest spec =
          new EngineRequest(
              new int[] {1},
              1,
              0,
              List.of(SamplingParams.GREEDY),
              new int[0],
              new int[0],
              List.of(),
              null,
              false);
      request = new RunningRequest(spec, new Recorder(), TOKENIZER, null, 0);
    }

    Sequence add(int[] prompt, int output, int priority) {
      Sequence s =
          new Sequence(
              request,
              0,
              SamplingParams.GREEDY,
              prompt,
              Math.min(context, prompt.length + output),
              priority,
              scheduler.newBlocks(PrefixScope.SHARED));
      scheduler.add(s);
      open.add(s);
      return s;
    }

    int[] prompt(int length) {
      return random.ints(length, 0, VOCAB).toArray();
    }

    /** Runs a step; returns its tokens. */
    int step() {
      scheduler.plan(plan, true);
      scheduler.complete(plan);
      return sample();
    }

    int sample() {
      for (int i = 0; i < plan.size(); i++) {
        Sequence s = plan.sequence(i);
        if (plan.row(i) >= 0) {
          s.append(random.nextInt(VOCAB));
          if (s.numTokens() >= s.maxPositions) {
            scheduler.remove(s);
            open.remove(s);
          }
        }
      }
      return plan.totalTokens();
    }

    boolean isPlanned(Sequence s) {
      for (int i = 0; i < plan.size(); i++) {
        if (plan.sequence(i) == s) {
          return true;
        }
      }
      return false;
    }
  }

  @Test
  void longPromptsDoNotHoldUpWhoGeneratesNorShortPromptsNorTheReverse(TestReporter reporter) {
    SchedulingOptions how =
        new SchedulingOptions(
            SchedulingOptions.Admission.OVERCOMMIT, SchedulingOptions.PrefixCache.ON, 32, 10);
    Run run = new Run(options(5000, 12, 128, 128, 16, 1500, how));
    List<Sequence> generating = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      generating.add(run.add(run.prompt(20), 600, 0));
    }
    while (generating.stream().anyMatch(s -> s.numPending() != 1 || s.numComputed == 0)) {
      run.step();
    }
    Sequence first = run.add(run.prompt(4000), 1, 0);
    Sequence second = run.add(run.prompt(4000), 1, 0);
    Sequence small = run.add(run.prompt(40), 1, 0);
    int steps = 0;
    int smallDone = 0;
    while (run.open.contains(first) || run.open.contains(second)) {
      run.step();
      steps++;
      assertThat(run.plan.totalTokens()).isLessThanOrEqualTo(128);
      for (Sequence s : generating) {
        assertThat(run.isPlanned(s) || !run.open.contains(s)).as("step %d", steps).isTrue();
      }
      smallDone = smallDone == 0 && !run.open.contains(small) ? steps : smallDone;
    }
    Numbers.note(
        reporter,
        "8 generate, prompts of 4000, 4000 and 40: steps="
            + steps
            + " short prompt through after "
            + smallDone
            + "; tokens between tokens <= 128");
    assertThat(smallDone).isBetween(1, 3);
    assertThat(steps).isLessThan(8000 / 60);
  }

  @Test
  void lowerPrioritiesGoFirstAndAreNotPreemptedByOthers() {
    Run run = new Run(options(40, 4, 8, 8, 4, 11, SchedulingOptions.DEFAULT));
    Sequence late = run.add(run.prompt(20), 15, 5);
    run.step();
    Sequence urgent = run.add(run.prompt(20), 15, -1);
    Sequence usual = run.add(run.prompt(4), 15, 0);
    List<Sequence> order = new ArrayList<>();
    for (int i = 0; i < 200 && !run.open.isEmpty(); i++) {
      List<Sequence> before = List.copyOf(run.open);
      run.step();
      before.stream().filter(s -> !run.open.contains(s)).forEach(order::add);
      run.scheduler.checkInvariants();
    }
    assertThat(order).hasSize(3).endsWith(late);
    assertThat(late.numPreemptions).isPositive();
    assertThat(urgent.numPreemptions).isZero();
    assertThat(usual.priority).isZero();
  }

  @Test
  void reservationNeverPreemptsAndOvercommitmentRunsMoreAtOnce() {
    int most = 0;
    int mostReserved = 0;
    for (SchedulingOptions.Admission admission : SchedulingOptions.Admission.values()) {
      SchedulingOptions how =
          new SchedulingOptions(admission, SchedulingOptions.PrefixCache.ON, 64, 0);
      Run run = new Run(options(200, 16, 64, 64, 8, 60, how));
      for (int i = 0; i < 16; i++) {
        run.add(run.prompt(20), 150, 0);
      }
      int running = 0;
      for (int i = 0; i < 20_000 && !run.open.isEmpty(); i++) {
        run.step();
        running = Math.max(running, run.scheduler.numRunning());
        run.scheduler.checkInvariants();
      }
      assertThat(run.open).isEmpty();
      if (admission == SchedulingOptions.Admission.RESERVE) {
        assertThat(run.scheduler.numPreemptions()).isZero();
        mostReserved = running;
      } else {
        assertThat(run.scheduler.numPreemptions()).isPositive();
        most = running;
      }
    }
    assertThat(most).isGreaterThan(2 * mostReserved);
  }

  @Test
  void aPreemptedSequenceFindsWhatItHadComputedWhereNobodyTookIt() {
    Run run = new Run(options(100, 4, 50, 50, 4, 40, SchedulingOptions.DEFAULT));
    Sequence s = run.add(run.prompt(43), 20, 0);
    run.step();
    run.step();
    assertThat(s.numComputed).isEqualTo(44);
    run.scheduler.preemptLast();
    assertThat(s.numComputed).isZero();
    run.scheduler.plan(run.plan, true);
    assertThat(s.numComputed).isEqualTo(44);
    assertThat(run.plan.totalTokens()).isEqualTo(1);
    assertThat(s.numCached).isZero();
  }

  @Test
  void aStepOf256SequencesIsPlannedInLessThan100MicrosecondsAndAllocatesNothing(
      TestReporter reporter) {
    EngineOptions options = options(2048, 256, 256, 512, 32, 16_385, SchedulingOptions.DEFAULT);
    Run run = new Run(options);
    StepBatch batch =
        new StepBatch(
            new CompileOptions(
                512, 256, 512, 32, 16_385, 64, KvFormat.BF16, LatentForm.AUTO, Set.of()),
            KvGroups.of(List.of(new KvSpec.Full(0, 1, 1))));
    SamplingRows rows = new SamplingRows(512);
    for (int i = 0; i < 256; i++) {
      run.add(run.prompt(100 + i * 2), 1500, 0);
    }
    while (run.open.stream().anyMatch(s -> s.numPending() != 1 || s.numComputed == 0)) {
      run.step();
    }
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long least = Long.MAX_VALUE;
    double best = Double.MAX_VALUE;
    for (int round = 0; round < 60; round++) {
      long bytes = 0;
      long nanos = 0;
      for (int i = 0; i < 16; i++) {
        long before = threads.getCurrentThreadAllocatedBytes();
        long begin = System.nanoTime();
        run.scheduler.plan(run.plan, true);
        run.plan.fill(batch, rows);
        run.scheduler.complete(run.plan);
        nanos += System.nanoTime() - begin;
        bytes += threads.getCurrentThreadAllocatedBytes() - before;
        run.sample();
      }
      least = Math.min(least, bytes);
      best = Math.min(best, nanos / 16e3);
      assertThat(run.plan.size()).isEqualTo(256);
    }
    Numbers.note(reporter, "256 sequences: us a step=%.1f bytes=%d".formatted(best, least));
    assertThat(least).isZero();
    assertThat(best).isLessThan(100);
  }

  @Test
  void thePrefixIndexCostsLittleWhereNothingIsFound(TestReporter reporter) {
    double[] nanos = new double[2];
    for (int round = 0; round < 4; round++) {
      for (SchedulingOptions.PrefixCache cache : SchedulingOptions.PrefixCache.values()) {
        SchedulingOptions how =
            new SchedulingOptions(SchedulingOptions.Admission.OVERCOMMIT, cache, 256, 10);
        Run run = new Run(options(1024, 64, 256, 512, 32, 2100, how));
        for (int i = 0; i < 200; i++) {
          run.add(run.prompt(400), 100, 0);
        }
        long tokens = 0;
        long spent = 0;
        while (!run.open.isEmpty()) {
          long begin = System.nanoTime();
          run.scheduler.plan(run.plan, true);
          run.scheduler.complete(run.plan);
          spent += System.nanoTime() - begin;
          tokens += run.sample();
        }
        assertThat(run.scheduler.numHitTokens()).isZero();
        int at = cache.ordinal();
        double each = spent / (double) tokens;
        nanos[at] = round == 0 ? each : Math.min(nanos[at], each);
      }
    }
    Numbers.note(
        reporter,
        "scheduling ns a token: with index %.1f, without %.1f".formatted(nanos[0], nanos[1]));
    assertThat(nanos[0] - nanos[1]).as("ns a token").isLessThan(500);
  }

  /** Lengths of a trace: prompt and output exponential, means 256 and 192, at most 1024 each. */
  private static int[] lengths(SplittableRandom random) {
    int[] both = new int[2];
    for (int i = 0; i < 2; i++) {
      double mean = i == 0 ? 256 : 192;
      both[i] = (int) Math.min(1023, 1 - mean * Math.log(1 - random.nextDouble()));
    }
    return both;
  }

  @Test
  void aTraceWastesLessThanHalfABlockASequenceAndReservesFarLessThanFullContexts(
      TestReporter reporter) {
    for (int block : new int[] {16, 32, 64}) {
      Run run = new Run(options(2048, 64, 256, 512, block, 200_000 / block, noCache()));
      SplittableRandom random = new SplittableRandom(9);
      for (int i = 0; i < 600; i++) {
        int[] lengths = lengths(random);
        run.add(run.prompt(lengths[0]), lengths[1], 0);
      }
      double waste = 0;
      double used = 0;
      double held = 0;
      double reserved = 0;
      long samples = 0;
      while (!run.open.isEmpty()) {
        run.scheduler.plan(run.plan, true);
        run.scheduler.complete(run.plan);
        for (Sequence s : run.open) {
          if (s.state == Sequence.State.RUNNING) {
            int room = s.blocks.numBlocks() * block;
            waste += room - s.numComputed;
            used += s.numComputed;
            held += room;
            reserved += 2048;
            samples++;
          }
        }
        run.sample();
      }
      double each = waste / samples;
      Numbers.note(
          reporter,
          ("block=%d waste tokens a sequence=%.2f of at most %.1f, used/held=%.1f%%,"
                  + " used/contiguous=%.1f%%, held/contiguous=%.1f%%")
              .formatted(
                  block,
                  each,
                  (block - 1) / 2.0,
                  100 * used / held,
                  100 * used / reserved,
                  100 * held / reserved));
      assertThat(each).isLessThanOrEqualTo((block - 1) / 2.0 * 1.05);
      assertThat(held / reserved).isLessThan(0.3);
    }
  }

  private static SchedulingOptions noCache() {
    return new SchedulingOptions(
        SchedulingOptions.Admission.OVERCOMMIT, SchedulingOptions.PrefixCache.OFF, 256, 10);
  }

  /** Cost of a step in a unit of time: a part for the weights and a part for each token. */
  private static double cost(int tokens) {
    return 32 + tokens;
  }

  @Test
  void continuousBatchingPutsOutMoreThanStaticBatchesOfTheSameKernels(TestReporter reporter) {
    int places = 32;
    List<int[]> trace = new ArrayList<>();
    SplittableRandom random = new SplittableRandom(11);
    for (int i = 0; i < 640; i++) {
      trace.add(lengths(random));
    }
    double[] rate = new double[2];
    for (int batched = 0; batched < 2; batched++) {
      Run run = new Run(options(2048, places, 256, 512, 16, 5000, noCache()));
      double time = 0;
      long tokens = 0;
      int next = 0;
      while (next < trace.size() || !run.open.isEmpty()) {
        boolean mayAdd = batched == 0 ? run.open.size() < places : run.open.isEmpty();
        while (mayAdd && next < trace.size() && run.open.size() < places) {
          int[] lengths = trace.get(next++);
          run.add(run.prompt(lengths[0]), lengths[1], 0);
          tokens += lengths[1];
        }
        time += cost(run.step());
      }
      rate[batched] = tokens / time;
    }
    Numbers.note(
        reporter,
        "tokens a unit of time: continuous %.4f, static %.4f, ratio %.2f"
            .formatted(rate[0], rate[1], rate[0] / rate[1]));
    assertThat(rate[0]).isGreaterThan(1.2 * rate[1]);
  }
}
