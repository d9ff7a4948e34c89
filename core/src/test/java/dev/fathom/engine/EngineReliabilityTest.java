package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.SamplingParams;
import dev.fathom.error.BackendException;
import dev.fathom.error.EngineOverloadedException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.sampling.LogitsProcessor;
import dev.fathom.sampling.TokenConstraint;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

/** What an engine does when things go wrong, are late or too many. */
class EngineReliabilityTest {

  private static final Tokenizer TOKENIZER =
      Tokenizer.load(Path.of("..", "examples", "models", "sample", "tokenizer.json"));
  private static final EngineOptions OPTIONS =
      new EngineOptions(64, 4, 8, 8, 8, 4, 65, 100, TaggedExecutable.VOCAB);

  private final TaggedExecutable executable = new TaggedExecutable(OPTIONS);

  private static EngineRequest request(int maxTokens, int first) {
    return new EngineRequest(
        new int[] {first, 5, 6},
        maxTokens,
        0,
        List.of(new SamplingParams(1, 0, 1, 0, 1, 0, 0, first, 0, false, null)),
        new int[0],
        new int[0],
        List.of(),
        null,
        false);
  }

  private static RequestControls timeout(Duration timeout) {
    return new RequestControls(timeout.toNanos(), List.of(), List.of(), null);
  }

  private Engine engine() {
    return new Engine(OPTIONS, executable, TOKENIZER);
  }

  private static int[] alone(EngineRequest request) {
    try (Engine engine = new Engine(OPTIONS, new TaggedExecutable(OPTIONS), TOKENIZER)) {
      Recorder recorder = new Recorder();
      engine.submit(request, recorder);
      return recorder.tokens(0);
    }
  }

  private void slowSteps() {
    executable.gate = batch -> LockSupport.parkNanos(2_000_000);
  }

  private static void awaitZero(Engine engine) {
    for (int i = 0; i < 1000 && engine.usedBlocks() > 0; i++) {
      LockSupport.parkNanos(1_000_000);
    }
    assertThat(engine.usedBlocks()).isZero();
  }

  /** A listener that takes tokens only while it has permits. */
  private static final class SlowReader implements RequestListener {

    private final Recorder recorder = new Recorder();
    private final AtomicInteger permits;
    volatile boolean abandoned;
    volatile int mostWaiting;
    private int waiting;

    SlowReader(int permits) {
      this.permits = new AtomicInteger(permits);
    }

    @Override
    public boolean isReady() {
      return permits.get() > 0;
    }

    @Override
    public boolean isAbandoned() {
      return abandoned;
    }

    @Override
    public void onToken(TokenEvent event) {
      if (permits.getAndDecrement() <= 0) {
        mostWaiting = Math.max(mostWaiting, ++waiting);
      }
      recorder.onToken(event);
    }

    @Override
    public void onEnd(RequestOutcome outcome) {
      recorder.onEnd(outcome);
    }
  }

  @Test
  void aRequestWithASlowReaderSitsOutWhileOthersGoOn() {
    try (Engine engine = engine()) {
      SlowReader slow = new SlowReader(3);
      EngineRequest long1 = request(20, 4);
      Engine.Ticket ticket = engine.submit(long1, slow);
      for (int i = 0; i < 5; i++) {
        Recorder other = new Recorder();
        engine.submit(request(30, 7 + i), other);
        assertThat(other.tokens(0)).isEqualTo(alone(request(30, 7 + i)));
      }
      assertThat(slow.recorder.hasEnded()).isFalse();
      assertThat(engine.usedBlocks()).isPositive();
      int steps = executable.numSteps.get();
      LockSupport.parkNanos(250_000_000);
      assertThat(executable.numSteps.get())
          .as("no step while the only request waits")
          .isEqualTo(steps);
      assertThat(engine.health().status()).isEqualTo(EngineHealth.Status.UP);
      slow.permits.set(1000);
      ticket.resume();
      assertThat(slow.recorder.tokens(0)).isEqualTo(alone(long1));
      assertThat(slow.mostWaiting).isZero();
      assertThat(engine.usedBlocks()).isZero();
    }
  }

  @Test
  void slowReadersKeepNoPlaceThatOthersWaitForAndLoseNothing() {
    try (Engine engine = engine()) {
      List<SlowReader> slow = new ArrayList<>();
      List<Engine.Ticket> tickets = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        slow.add(new SlowReader(2));
        tickets.add(engine.submit(request(30, 4 + i), slow.get(i)));
      }
      for (int i = 0; i < 8; i++) {
        Recorder other = new Recorder();
        engine.submit(request(30, 20 + i), other);
        assertThat(other.tokens(0)).isEqualTo(alone(request(30, 20 + i)));
      }
      for (int i = 0; i < 6; i++) {
        assertThat(slow.get(i).recorder.hasEnded()).isFalse();
        slow.get(i).permits.set(1000);
        tickets.get(i).resume();
      }
      for (int i = 0; i < 6; i++) {
        assertThat(slow.get(i).recorder.tokens(0)).isEqualTo(alone(request(30, 4 + i)));
      }
      assertThat(engine.usedBlocks()).isZero();
    }
  }

  @Test
  void aRequestWhoseReaderIsGoneIsCancelled() {
    try (Engine engine = engine()) {
      SlowReader gone = new SlowReader(2);
      engine.submit(request(20, 4), gone);
      gone.abandoned = true;
      assertThat(gone.recorder.await().choices().getFirst().reason())
          .isEqualTo(EndReason.CANCELLED);
      assertThat(gone.recorder.tokens(0)).hasSize(2);
      assertThat(engine.usedBlocks()).isZero();
    }
  }

  @Test
  void aRequestEndsAtItsTimeWhetherItRunsWaitsOrSitsOut() {
    slowSteps();
    try (Engine engine = engine()) {
      List<Recorder> blockers = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        blockers.add(new Recorder());
        engine.submit(request(50, 10 + i), blockers.get(i));
      }
      Recorder waiting = new Recorder();
      engine.submit(request(50, 4).with(timeout(Duration.ofMillis(20))), waiting);
      assertThat(waiting.await().choices().getFirst().reason()).isEqualTo(EndReason.DEADLINE);
      assertThat(waiting.await().failure()).isNull();
      blockers.forEach(Recorder::await);
      Recorder running = new Recorder();
      engine.submit(request(50, 4).with(timeout(Duration.ofMillis(30))), running);
      assertThat(running.await().choices().getFirst().reason()).isEqualTo(EndReason.DEADLINE);
      int[] expected = alone(request(50, 4));
      assertThat(expected).startsWith(running.tokens(0));
      assertThat(running.tokens(0).length).isBetween(1, 40);
      SlowReader paused = new SlowReader(1);
      engine.submit(request(50, 4).with(timeout(Duration.ofMillis(50))), paused);
      assertThat(paused.recorder.await().choices().getFirst().reason())
          .isEqualTo(EndReason.DEADLINE);
      Recorder late = new Recorder();
      engine.submit(request(50, 4).with(timeout(Duration.ZERO)), late);
      assertThat(late.tokens(0)).isEmpty();
      assertThat(engine.usedBlocks()).isZero();
    }
  }

  @Test
  void moreThanTheWaitingTokensAreRefusedButASingleLongRequestIsNot() throws Exception {
    EngineLimits limits = EngineLimits.DEFAULT.maxQueuedTokens(7);
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    executable.gate =
        batch -> {
          running.countDown();
          try {
            go.await();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        };
    try (Engine engine = new Engine(OPTIONS, limits, executable, TOKENIZER)) {
      List<Recorder> accepted = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        accepted.add(new Recorder());
        engine.submit(request(3, 4 + i), accepted.get(i));
        assertThat(running.await(10, TimeUnit.SECONDS)).isTrue();
      }
      long begin = System.nanoTime();
      assertThatThrownBy(() -> engine.submit(request(3, 9), new Recorder()))
          .isInstanceOf(EngineOverloadedException.class)
          .hasMessageContaining("must be <= 7: waiting prompt tokens=6 of this one=3");
      assertThat(System.nanoTime() - begin).isLessThan(500_000_000);
      go.countDown();
      accepted.forEach(recorder -> assertThat(recorder.await().failure()).isNull());
      Recorder longer = new Recorder();
      EngineRequest nine =
          new EngineRequest(
              new int[] {2, 3, 4, 5, 6, 7, 8, 9, 10},
              1,
              0,
              List.of(SamplingParams.GREEDY),
              new int[0],
              new int[0],
              List.of(),
              null,
              false);
      engine.submit(nine, longer);
      assertThat(longer.await().failure()).isNull();
    }
  }

  @Test
  void drainingLetsRequestsEndAndTakesNoNewOnes() throws InterruptedException {
    slowSteps();
    Engine engine = engine();
    List<Recorder> recorders = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      recorders.add(new Recorder());
      engine.submit(request(10, 4 + i), recorders.get(i));
    }
    Thread closing = new Thread(() -> engine.close(Duration.ofSeconds(30)));
    closing.start();
    while (engine.health().status() == EngineHealth.Status.UP) {
      Thread.onSpinWait();
    }
    assertThat(engine.health().reason()).isEqualTo("closing: takes no new request");
    assertThatThrownBy(() -> engine.submit(request(3, 4), new Recorder()))
        .isInstanceOfSatisfying(
            GenerationException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.MODEL_CLOSED));
    closing.join(30_000);
    assertThat(executable.closed).isTrue();
    for (int i = 0; i < 6; i++) {
      assertThat(recorders.get(i).await().failure()).isNull();
      assertThat(recorders.get(i).tokens(0)).hasSize(10);
    }
    assertThat(engine.health().reason()).isEqualTo("closed");
  }

  @Test
  void drainingGivesUpWhenItsTimeIsOver() {
    slowSteps();
    Engine engine = engine();
    SlowReader never = new SlowReader(0);
    engine.submit(request(10, 4), never);
    long begin = System.nanoTime();
    engine.close(Duration.ofMillis(100));
    assertThat(System.nanoTime() - begin).isBetween(90_000_000L, 4_000_000_000L);
    assertThat(never.recorder.await().failure()).isInstanceOf(GenerationException.class);
    assertThat(executable.closed).isTrue();
  }

  private static TokenConstraint failing(int afterTokens) {
    return new TokenConstraint() {
      private int accepted;

      @Override
      public boolean isActive() {
        if (accepted == afterTokens) {
          throw new IllegalStateException("constraint is broken");
        }
        return false;
      }

      @Override
      public void restrict(long[] allowed) {
        throw new AssertionError("is not active");
      }

      @Override
      public void accept(int token) {
        accepted++;
      }

      @Override
      public void rollback(int numTokens) {
        throw new AssertionError("no drafts");
      }
    };
  }

  @Test
  void whateverARequestBringsAlongFailsItAloneAndTheOthersAreAsIfAlone() {
    LogitsProcessor throwing =
        (history, logits) -> {
          if (history.length() == 6) {
            throw new StackOverflowError("processor is broken");
          }
        };
    LogitsProcessor outOfRange = (history, logits) -> logits.set(TaggedExecutable.VOCAB, 1);
    LogitsProcessor forbidding =
        (history, logits) -> {
          for (int i = 0; i < logits.size(); i++) {
            logits.set(i, Float.NaN);
          }
        };
    Supplier<TokenConstraint> noConstraint =
        () -> {
          throw new OutOfMemoryError("no constraint");
        };
    RequestControls none = RequestControls.NONE;
    List<RequestControls> bad =
        List.of(
            none.processedBy(throwing),
            none.processedBy(outOfRange),
            none.processedBy(forbidding),
            none.constrainedBy(noConstraint),
            none.constrainedBy(() -> failing(0)),
            none.constrainedBy(() -> failing(3)));
    List<String> why =
        List.of(
            "processor is broken",
            "must be in [0, 63]: token=64",
            "no token is allowed",
            "no constraint",
            "constraint is broken",
            "constraint is broken");
    try (Engine engine = engine()) {
      for (int i = 0; i < bad.size(); i++) {
        Recorder good = new Recorder();
        Recorder failed = new Recorder();
        engine.submit(request(12, 20 + i), good);
        engine.submit(request(12, 4).with(bad.get(i)), failed);
        assertThat(failed.await().failure())
            .isInstanceOf(GenerationException.class)
            .hasMessageContaining(why.get(i));
        assertThat(good.await().failure()).isNull();
        assertThat(good.tokens(0)).isEqualTo(alone(request(12, 20 + i)));
      }
      assertThat(engine.usedBlocks()).isZero();
      assertThat(engine.health().status()).isEqualTo(EngineHealth.Status.UP);
    }
  }

  @Test
  void aListenerThatThrowsAnErrorAtTheEndOrInterruptsTheThreadHarmsNobody() {
    try (Engine engine = engine()) {
      CountDownLatch ended = new CountDownLatch(1);
      engine.submit(
          request(3, 4),
          new RequestListener() {
            @Override
            public void onToken(TokenEvent event) {
              Thread.currentThread().interrupt();
            }

            @Override
            public void onEnd(RequestOutcome outcome) {
              ended.countDown();
              throw new AssertionError("planned");
            }
          });
      assertThat(ended.await(10, TimeUnit.SECONDS)).isTrue();
      Recorder next = new Recorder();
      engine.submit(request(5, 4), next);
      assertThat(next.tokens(0)).isEqualTo(alone(request(5, 4)));
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static RequestListener noting(Recorder recorder, AtomicLong lastEnd) {
    return new RequestListener() {
      @Override
      public void onToken(TokenEvent event) {
        recorder.onToken(event);
      }

      @Override
      public void onEnd(RequestOutcome outcome) {
        lastEnd.set(System.nanoTime());
        recorder.onEnd(outcome);
      }
    };
  }

  @Test
  void aBrokenBackendFailsWaitingRequestsWithin100MillisecondsAndHealthSaysWhy() {
    AtomicBoolean breaks = new AtomicBoolean();
    AtomicLong broke = new AtomicLong();
    AtomicLong lastEnd = new AtomicLong();
    executable.gate =
        batch -> {
          LockSupport.parkNanos(2_000_000);
          if (breaks.get()) {
            broke.compareAndSet(0, System.nanoTime());
            throw new BackendException(
                ErrorCode.BACKEND_BROKEN, "The device is lost", "planned", "restart");
          }
        };
    try (Engine engine = engine()) {
      List<Recorder> recorders = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        recorders.add(new Recorder());
        engine.submit(request(60, 4 + i % 50), noting(recorders.get(i), lastEnd));
      }
      breaks.set(true);
      for (Recorder recorder : recorders) {
        assertThat(recorder.await().failure()).hasMessageContaining("The device is lost");
      }
      assertThat(lastEnd.get() - broke.get()).isBetween(1L, 100_000_000L);
      assertThat(engine.health().status()).isEqualTo(EngineHealth.Status.DOWN);
      assertThat(engine.health().reason()).contains("FATHOM-4003 The device is lost");
      assertThat(engine.usedBlocks()).isZero();
    }
  }

  @Test
  void healthIsStalledWhileAStepHangsAndUpAgainAfterwards() throws InterruptedException {
    EngineLimits limits =
        new EngineLimits(Long.MAX_VALUE, Duration.ofMillis(60), AdapterLimits.NONE);
    CountDownLatch go = new CountDownLatch(1);
    executable.gate =
        batch -> {
          try {
            go.await();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        };
    try (Engine engine = new Engine(OPTIONS, limits, executable, TOKENIZER)) {
      assertThat(engine.health().status()).isEqualTo(EngineHealth.Status.UP);
      Recorder recorder = new Recorder();
      engine.submit(request(3, 4), recorder);
      for (int i = 0; i < 1000 && engine.health().status() == EngineHealth.Status.UP; i++) {
        Thread.sleep(5);
      }
      EngineHealth stalled = engine.health();
      assertThat(stalled.status()).isEqualTo(EngineHealth.Status.STALLED);
      assertThat(stalled.reason()).startsWith("no step ended for ");
      assertThat(stalled.sinceProgress()).isGreaterThanOrEqualTo(Duration.ofMillis(60));
      go.countDown();
      recorder.await();
      awaitZero(engine);
      assertThat(engine.health().status()).isEqualTo(EngineHealth.Status.UP);
    }
  }

  private static void closeQuietly(AutoCloseable closed) {
    try {
      closed.close();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void theEngineThreadMayNotCloseTheEngine() {
    try (Engine engine = engine()) {
      AutoCloseable itself = engine;
      Recorder closing = new Recorder(event -> closeQuietly(itself));
      engine.submit(request(3, 4), closing);
      assertThat(closing.await().failure()).hasMessageContaining("must not be the engine's own");
      Recorder next = new Recorder();
      engine.submit(request(3, 4), next);
      assertThat(next.await().failure()).isNull();
    }
  }

  @Test
  void anyStepOfManyMayFailAndTheEngineGoesOn() {
    int numSteps = stepsOf(request(10, 4));
    for (int n = 0; n < numSteps; n++) {
      int failing = n;
      TaggedExecutable fragile = new TaggedExecutable(OPTIONS);
      AtomicInteger step = new AtomicInteger();
      fragile.gate =
          batch -> {
            if (step.getAndIncrement() == failing) {
              throw new OutOfMemoryError("step " + failing);
            }
          };
      try (Engine engine = new Engine(OPTIONS, fragile, TOKENIZER)) {
        Recorder failed = new Recorder();
        engine.submit(request(10, 4), failed);
        assertThat(failed.await().failure()).hasMessageContaining("step " + failing);
        Recorder next = new Recorder();
        engine.submit(request(10, 4), next);
        assertThat(next.tokens(0)).isEqualTo(alone(request(10, 4)));
        assertThat(engine.usedBlocks()).isZero();
      }
    }
  }

  private int stepsOf(EngineRequest request) {
    try (Engine engine = engine()) {
      Recorder recorder = new Recorder();
      engine.submit(request, recorder);
      recorder.await();
    }
    assertThat(executable.numSteps.get()).isGreaterThanOrEqualTo(10);
    return executable.numSteps.get();
  }

  @Test
  void cancellingFromManyThreadsWhileSubmittingAndClosingEndsEachRequestOnce() throws Exception {
    for (int round = 0; round < 30; round++) {
      Engine engine = new Engine(OPTIONS, new TaggedExecutable(OPTIONS), TOKENIZER);
      List<Recorder> accepted = new ArrayList<>();
      List<Thread> threads = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int first = 4 + 4 * t;
        Thread thread =
            new Thread(() -> {
              for (int i = 0; i < 20; i++) {
                Recorder recorder = new Recorder();
                try {
                  Engine.Ticket ticket = engine.submit(request(5, first + i % 4), recorder);
                  synchronized (accepted) {
                    accepted.add(recorder);
                  }
                  if (i % 3 == 0) {
                    ticket.cancel();
                    ticket.cancel();
                  }
                } catch (GenerationException e) {
                  assertThat(e.code()).isEqualTo(ErrorCode.MODEL_CLOSED);
                }
              }
            });
        threads.add(thread);
        thread.start();
      }
      LockSupport.parkNanos(round * 100_000L);
      engine.close();
      for (Thread thread : threads) {
        thread.join();
      }
      accepted.forEach(Recorder::await);
      assertThat(engine.usedBlocks()).isZero();
    }
  }
}
