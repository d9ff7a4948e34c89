package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.SamplingParams;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Steps that do not end, and failures after which no step can succeed. */
class EngineFailureTest {

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

  private Engine engine() {
    return new Engine(OPTIONS, executable, TOKENIZER);
  }

  /** Blocks a step until it is let go, whoever asks it to end. */
  private static final class StuckStep {

    private final CountDownLatch begun = new CountDownLatch(1);
    private final CountDownLatch go = new CountDownLatch(1);

    void before() {
      begun.countDown();
      try {
        assertThat(go.await(60, TimeUnit.SECONDS)).isTrue();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  @Test
  void closingEndsAllRequestsUnderFourSecondsThoughAStepDoesNotEnd() throws Exception {
    StuckStep stuck = new StuckStep();
    executable.gate = batch -> stuck.before();
    Engine engine = engine();
    List<Recorder> recorders = new ArrayList<>();
    for (int i = 0; i < 7; i++) {
      recorders.add(new Recorder());
      engine.submit(request(5, 4 + i), recorders.get(i));
    }
    assertThat(stuck.begun.await(10, TimeUnit.SECONDS)).isTrue();
    long begin = System.nanoTime();
    engine.close();
    assertThat(System.nanoTime() - begin).isLessThan(4_000_000_000L);
    for (Recorder recorder : recorders) {
      assertThat(recorder.hasEnded()).isTrue();
      assertThat(recorder.await().failure()).hasMessageContaining("FATHOM-6000");
    }
    assertThat(engine.health().reason()).isEqualTo("closed, but its last step has not ended");
    assertThat(executable.closed).as("memory of a step that runs").isFalse();
    engine.close();
    CountDownLatch freed = new CountDownLatch(1);
    engine.whenStopped(freed::countDown);
    assertThat(freed.getCount()).isEqualTo(1);
    stuck.go.countDown();
    assertThat(freed.await(10, TimeUnit.SECONDS)).isTrue();
    assertThat(executable.closed).isTrue();
    assertThat(engine.health().reason()).isEqualTo("closed");
    for (Recorder recorder : recorders) {
      assertThat(recorder.tokens(0)).isEmpty();
    }
    assertThat(engine.usedBlocks()).isZero();
  }

  @Test
  void closingEndsThreadsThatWaitForLogitsThoughTheirStepDoesNotEnd() throws Exception {
    StuckStep stuck = new StuckStep();
    executable.gate = batch -> stuck.before();
    Engine engine = engine();
    CountDownLatch ended = new CountDownLatch(1);
    Thread waiting =
        new Thread(() -> {
          try {
            engine.logits(new int[] {4, 5}, 2, (position, logits, offset, size) -> {});
          } catch (GenerationException e) {
            ended.countDown();
          }
        });
    waiting.start();
    assertThat(stuck.begun.await(10, TimeUnit.SECONDS)).isTrue();
    engine.close();
    assertThat(ended.await(1, TimeUnit.SECONDS)).isTrue();
    stuck.go.countDown();
    waiting.join(10_000);
    assertThat(waiting.isAlive()).isFalse();
  }

  @Test
  void anInterruptWhileClosingIsKeptAndDoesNotMakeItLonger() {
    StuckStep stuck = new StuckStep();
    executable.gate = batch -> stuck.before();
    Engine engine = engine();
    Recorder recorder = new Recorder();
    engine.submit(request(5, 4), recorder);
    Thread.currentThread().interrupt();
    long begin = System.nanoTime();
    engine.close();
    assertThat(System.nanoTime() - begin).isLessThan(4_000_000_000L);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(recorder.hasEnded()).isTrue();
    stuck.go.countDown();
  }

  @Test
  void aVirtualMachineThatFailsBreaksTheBackendAndMemoryThatRunsOutDoesNot() {
    List<Error> errors =
        List.of(
            new OutOfMemoryError("planned"),
            new StackOverflowError("planned"),
            new AssertionError("planned"),
            new NoClassDefFoundError("planned"),
            new InternalError("planned"));
    for (Error error : errors) {
      boolean breaks = error instanceof InternalError || error instanceof LinkageError;
      TaggedExecutable failing = new TaggedExecutable(OPTIONS);
      failing.gate =
          batch -> {
            throw error;
          };
      try (Engine engine = new Engine(OPTIONS, failing, TOKENIZER)) {
        Recorder recorder = new Recorder();
        engine.submit(request(3, 4), recorder);
        assertThat(recorder.await().failure())
            .hasMessageContaining(breaks ? "FATHOM-4003" : "FATHOM-6002");
        assertThat(engine.health().status())
            .isEqualTo(breaks ? EngineHealth.Status.DOWN : EngineHealth.Status.UP);
      }
    }
  }

  @Test
  void aBackendThatBreaksInAStepForLogitsIsDown() {
    executable.gate =
        batch -> {
          throw new BackendException(
              ErrorCode.BACKEND_BROKEN, "The device is lost", "planned", "restart");
        };
    try (Engine engine = engine()) {
      assertThatThrownBy(
              () -> engine.logits(new int[] {4, 5}, 2, (position, logits, offset, size) -> {}))
          .hasMessageContaining("The device is lost");
      for (int i = 0; i < 1000 && engine.health().status() == EngineHealth.Status.UP; i++) {
        LockSupport.parkNanos(1_000_000);
      }
      assertThat(engine.health().reason()).contains("The device is lost");
    }
  }
}
