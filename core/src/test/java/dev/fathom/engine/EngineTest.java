package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.SamplingRows;
import dev.fathom.error.BackendException;
import dev.fathom.error.EngineOverloadedException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.sampling.CounterRandom;
import dev.fathom.sampling.HostSampler;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** The engine over a cache that knows what belongs into it. */
class EngineTest {

  private static final Tokenizer TOKENIZER =
      Tokenizer.load(Path.of("..", "examples", "models", "sample", "tokenizer.json"));

  private static EngineOptions options(int context, int sequences, int chunk, int block) {
    int blocks = Math.ceilDiv(context, block) * sequences + 1;
    int step = Math.max(chunk, sequences);
    return new EngineOptions(
        context, sequences, chunk, step, step, block, blocks, 100, TaggedExecutable.VOCAB);
  }

  private static SamplingParams params(float temperature, long seed) {
    return new SamplingParams(temperature, 0, 1, 0, 1, 0, 0, seed, 0, false, null);
  }

  private static EngineRequest request(int[] prompt, int maxTokens, int n, float temperature) {
    List<SamplingParams> choices = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      choices.add(params(temperature, CounterRandom.seedOfChoice(prompt.length, i)));
    }
    return new EngineRequest(
        prompt, maxTokens, 0, choices, new int[] {1}, new int[0], List.of(), null, false);
  }

  /** What a choice puts out, computed without engine, batches and blocks. */
  private static int[] alone(EngineRequest request, int choice, int contextTokens) {
    HostSampler sampler = new HostSampler();
    long tag = TaggedExecutable.root();
    for (int id : request.promptIds()) {
      tag = TaggedExecutable.next(tag, id);
    }
    List<Integer> out = new ArrayList<>();
    float[] logits = new float[TaggedExecutable.VOCAB];
    int length = request.promptIds().length;
    while (true) {
      TaggedExecutable.logitsOf(tag, logits, 0, false);
      SamplingRows rows = new SamplingRows(1);
      rows.add(request.choices().get(choice), length, null, null);
      SampledRows sampled = new SampledRows(1, 20);
      sampler.sample(rows, 0, logits, 0, logits.length, sampled);
      out.add(sampled.token(0));
      length++;
      boolean ends = sampled.token(0) == 1;
      if (ends || out.size() == request.maxTokens() || length == contextTokens) {
        return out.stream().mapToInt(i -> i).toArray();
      }
      tag = TaggedExecutable.next(tag, sampled.token(0));
    }
  }

  private static int[] prompt(Random random, int length) {
    return random.ints(length, 2, 60).toArray();
  }

  @Test
  void everyRequestPutsOutWhatItPutsOutAlone() {
    for (int seed = 0; seed < 150; seed++) {
      Random random = new Random(seed);
      EngineOptions options =
          options(
              6 + random.nextInt(20),
              1 + random.nextInt(3),
              1 + random.nextInt(5),
              1 + random.nextInt(4));
      TaggedExecutable executable = new TaggedExecutable(options);
      try (Engine engine = new Engine(options, executable, TOKENIZER)) {
        simulate(engine, options, random, seed);
        assertThat(engine.usedBlocks()).as("seed %d", seed).isZero();
      }
      assertThat(executable.largestStep).isLessThanOrEqualTo(options.stepTokens());
    }
  }

  private static void simulate(Engine engine, EngineOptions options, Random random, int seed) {
    List<EngineRequest> requests = new ArrayList<>();
    List<Recorder> recorders = new ArrayList<>();
    List<Engine.Ticket> cancels = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      int[] prompt = prompt(random, 1 + random.nextInt(options.contextTokens() - 1));
      EngineRequest request =
          request(prompt, 1 + random.nextInt(12), 1 + random.nextInt(4), random.nextInt(2) * 2f);
      Recorder recorder = new Recorder();
      requests.add(request);
      recorders.add(recorder);
      cancels.add(engine.submit(request, recorder));
      if (random.nextInt(3) == 0) {
        cancels.get(random.nextInt(cancels.size())).cancel();
      }
    }
    for (int i = 0; i < requests.size(); i++) {
      RequestOutcome outcome = recorders.get(i).await();
      assertThat(outcome.failure()).as("seed %d", seed).isNull();
      for (int c = 0; c < outcome.choices().size(); c++) {
        int[] expected = alone(requests.get(i), c, options.contextTokens());
        int[] actual = recorders.get(i).tokens(c);
        boolean cancelled = outcome.choices().get(c).reason() == EndReason.CANCELLED;
        assertThat(actual)
            .as("seed %d request %d choice %d", seed, i, c)
            .isEqualTo(cancelled ? Arrays.copyOf(expected, actual.length) : expected);
      }
    }
  }

  @Test
  void cancellingFreesTheBlocksBeforeTheNextStep() throws InterruptedException {
    EngineOptions options = options(40, 2, 4, 4);
    TaggedExecutable executable = new TaggedExecutable(options);
    try (Engine engine = new Engine(options, executable, TOKENIZER)) {
      CountDownLatch running = new CountDownLatch(1);
      CountDownLatch go = new CountDownLatch(1);
      executable.gate =
          batch -> {
            running.countDown();
            awaitQuietly(go);
          };
      Recorder recorder = new Recorder();
      Engine.Ticket cancellation =
          engine.submit(request(new int[] {5, 6, 7, 8, 9, 10}, 30, 3, 1), recorder);
      running.await();
      int steps = executable.numSteps.get();
      cancellation.cancel();
      go.countDown();
      assertThat(recorder.await().choices())
          .allMatch(choice -> choice.reason() == EndReason.CANCELLED);
      assertThat(engine.usedBlocks()).isZero();
      assertThat(executable.numSteps.get()).isEqualTo(steps + 1);
      cancellation.cancel();
    }
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void aRowWithoutFiniteLogitsFailsItsRequestAlone() {
    EngineOptions options = options(20, 3, 8, 2);
    try (Engine engine = new Engine(options, new TaggedExecutable(options), TOKENIZER)) {
      Recorder good = new Recorder();
      Recorder bad = new Recorder();
      EngineRequest goodRequest = request(new int[] {4, 5}, 10, 1, 1);
      engine.submit(goodRequest, good);
      engine.submit(request(new int[] {4, TaggedExecutable.POISON}, 10, 2, 1), bad);
      assertThat(bad.await().failure())
          .isInstanceOf(GenerationException.class)
          .hasMessageContaining("no logit of the row is finite");
      assertThat(bad.await().choices().getFirst().reason()).isEqualTo(EndReason.ERROR);
      assertThat(good.tokens(0)).isEqualTo(alone(goodRequest, 0, 20));
      assertThat(engine.usedBlocks()).isZero();
    }
  }

  @Test
  void aListenerThatThrowsFailsItsRequestAlone() {
    EngineOptions options = options(20, 3, 8, 2);
    try (Engine engine = new Engine(options, new TaggedExecutable(options), TOKENIZER)) {
      Recorder bad =
          new Recorder(event -> {
            throw new IllegalStateException("listener is broken");
          });
      Recorder good = new Recorder();
      EngineRequest request = request(new int[] {4, 5}, 10, 1, 1);
      engine.submit(request, bad);
      engine.submit(request, good);
      assertThat(bad.await().failure()).hasMessageContaining("listener is broken");
      assertThat(good.tokens(0)).isEqualTo(alone(request, 0, 20));
    }
  }

  @Test
  void aFailedStepFailsItsSequencesAndTheEngineGoesOn() {
    EngineOptions options = options(20, 3, 8, 2);
    TaggedExecutable executable = new TaggedExecutable(options);
    try (Engine engine = new Engine(options, executable, TOKENIZER)) {
      AtomicInteger left = new AtomicInteger(1);
      executable.gate =
          batch -> {
            if (left.getAndDecrement() == 1) {
              throw new OutOfMemoryError("planned");
            }
          };
      Recorder failed = new Recorder();
      EngineRequest request = request(new int[] {4, 5}, 10, 1, 1);
      engine.submit(request, failed);
      assertThat(failed.await().failure())
          .isInstanceOfSatisfying(
              GenerationException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.GENERATION_FAILED))
          .hasMessageContaining("planned");
      Recorder next = new Recorder();
      engine.submit(request, next);
      assertThat(next.tokens(0)).isEqualTo(alone(request, 0, 20));
      assertThat(engine.usedBlocks()).isZero();
    }
  }

  @Test
  void aBrokenBackendFailsWhatRunsAndWhatComes() {
    EngineOptions options = options(20, 3, 8, 2);
    TaggedExecutable executable = new TaggedExecutable(options);
    try (Engine engine = new Engine(options, executable, TOKENIZER)) {
      executable.gate =
          batch -> {
            throw new BackendException(
                ErrorCode.BACKEND_BROKEN, "The device is lost", "planned", "restart");
          };
      Recorder failed = new Recorder();
      engine.submit(request(new int[] {4, 5}, 10, 1, 1), failed);
      assertThat(failed.await().failure()).hasMessageContaining("The device is lost");
      assertThatThrownBy(() -> engine.submit(request(new int[] {4}, 1, 1, 1), new Recorder()))
          .isInstanceOf(BackendException.class)
          .hasMessageContaining("The device is lost");
      assertThatThrownBy(() -> engine.logits(new int[] {4}, 1, (p, l, o, v) -> {}))
          .isInstanceOf(BackendException.class);
    }
  }

  @Test
  void closingFailsWhatRunsAndWhatWaitsAndStopsTheThread() throws InterruptedException {
    EngineOptions options = options(50, 1, 1, 4);
    TaggedExecutable executable = new TaggedExecutable(options);
    Engine engine = new Engine(options, executable, TOKENIZER);
    CountDownLatch running = new CountDownLatch(1);
    executable.gate =
        batch -> {
          running.countDown();
          LockSupport.parkNanos(5_000_000);
        };
    List<Recorder> recorders = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      recorders.add(new Recorder());
      engine.submit(
          new EngineRequest(
              new int[] {4},
              1_000,
              0,
              List.of(params(1, i)),
              new int[0],
              new int[0],
              List.of(),
              null,
              false),
          recorders.get(i));
    }
    running.await();
    engine.close();
    engine.close();
    assertThat(executable.closed).isTrue();
    for (Recorder recorder : recorders) {
      RuntimeException failure = recorder.await().failure();
      if (failure != null) {
        assertThat(((GenerationException) failure).code()).isEqualTo(ErrorCode.MODEL_CLOSED);
      }
    }
    assertThat(recorders.getLast().await().failure()).isNotNull();
    assertThatThrownBy(() -> engine.submit(request(new int[] {4}, 1, 1, 1), new Recorder()))
        .isInstanceOfSatisfying(
            GenerationException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.MODEL_CLOSED));
    assertThatThrownBy(() -> engine.logits(new int[] {4}, 1, (p, l, o, v) -> {}))
        .isInstanceOf(GenerationException.class);
  }

  @Test
  void tooManyWaitingRequestsAreRefusedAtOnce() throws InterruptedException {
    EngineOptions small = new EngineOptions(8, 1, 1, 1, 1, 2, 5, 2, TaggedExecutable.VOCAB);
    TaggedExecutable executable = new TaggedExecutable(small);
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    executable.gate =
        batch -> {
          running.countDown();
          awaitQuietly(go);
        };
    try (Engine engine = new Engine(small, executable, TOKENIZER)) {
      List<Recorder> accepted = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        accepted.add(new Recorder());
        engine.submit(request(new int[] {4, 5}, 3, 1, 1), accepted.get(i));
        running.await();
      }
      assertThatThrownBy(() -> engine.submit(request(new int[] {4}, 1, 1, 1), new Recorder()))
          .isInstanceOfSatisfying(
              EngineOverloadedException.class,
              e -> {
                assertThat(e.code()).isEqualTo(ErrorCode.ENGINE_OVERLOADED);
                assertThat(e.queueDepth()).isEqualTo(2);
                assertThat(e.retryAfter()).isBetween(Duration.ofMillis(100), Duration.ofMinutes(1));
              })
          .hasMessageContaining("must be <= 2");
      go.countDown();
      accepted.forEach(recorder -> assertThat(recorder.await().failure()).isNull());
    }
  }

  @Test
  void logitsOfAllPositionsComeWhileOthersGenerate() {
    EngineOptions options = options(20, 2, 5, 3);
    try (Engine engine = new Engine(options, new TaggedExecutable(options), TOKENIZER)) {
      int[] ids = prompt(new Random(1), 17);
      List<Recorder> others = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        others.add(new Recorder());
        engine.submit(request(new int[] {4, 5, 6, 7}, 15, 3, 1), others.get(i));
      }
      for (int chunk : new int[] {1, 4, 5}) {
        long[] tag = {TaggedExecutable.root()};
        int[] next = new int[1];
        engine.logits(
            ids,
            chunk,
            (position, logits, offset, vocabSize) -> {
              assertThat(position).isEqualTo(next[0]++);
              tag[0] = TaggedExecutable.next(tag[0], ids[position]);
              float[] expected = new float[vocabSize];
              TaggedExecutable.logitsOf(tag[0], expected, 0, false);
              assertThat(Arrays.copyOfRange(logits, offset, offset + vocabSize))
                  .isEqualTo(expected);
            });
        assertThat(next[0]).isEqualTo(17);
      }
      others.forEach(recorder -> assertThat(recorder.await().failure()).isNull());
    }
  }

  @Test
  void theEngineRunsOnItsOwnNamedDaemonThread() {
    EngineOptions options = options(20, 2, 5, 3);
    TaggedExecutable executable = new TaggedExecutable(options);
    Thread[] seen = new Thread[1];
    executable.gate = batch -> seen[0] = Thread.currentThread();
    try (Engine engine = new Engine(options, executable, TOKENIZER)) {
      Recorder recorder = new Recorder();
      engine.submit(request(new int[] {4}, 2, 1, 1), recorder);
      recorder.await();
    }
    assertThat(seen[0].getName()).matches("fathom-engine-\\d+");
    assertThat(seen[0].isDaemon()).isTrue();
    assertThat(seen[0].isVirtual()).isFalse();
  }
}
