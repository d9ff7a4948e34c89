package dev.fathom.backend.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.Backend;
import dev.fathom.backend.Executable;
import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.WeightSource;
import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.engine.EndReason;
import dev.fathom.engine.Engine;
import dev.fathom.engine.EngineHealth;
import dev.fathom.engine.EngineOptions;
import dev.fathom.engine.EngineRequest;
import dev.fathom.engine.MetricsRecorder;
import dev.fathom.engine.RequestListener;
import dev.fathom.engine.RequestOutcome;
import dev.fathom.engine.TokenEvent;
import dev.fathom.error.FathomException;
import dev.fathom.error.GenerationException;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.WeightMatrix;
import dev.fathom.text.Tokenizer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/**
 * Steps that fail in the middle. The memory of one expert is taken away, so that a step fails where
 * a token goes there and not elsewhere.
 */
abstract class FailureContract extends DraftContract {

  private static final String EXPERT = "1.experts.3.";
  private static final Path TOKENIZER =
      Path.of("..", "examples", "models", "sample", "tokenizer.json");

  /** Weights of which an expert's lie in memory that can be freed. */
  private static WeightSource movable(TinyModel model, Arena arena) {
    return weight -> {
      WeightMatrix matrix = model.weights.read(weight);
      return weight.name().startsWith(EXPERT) ? moved(matrix, arena) : matrix;
    };
  }

  private static WeightMatrix moved(WeightMatrix matrix, Arena arena) {
    BlockScaleLayout layout = Objects.requireNonNull(matrix.layout());
    MemorySegment scales = Objects.requireNonNull(matrix.scales());
    return WeightMatrix.blockFp8(
        layout,
        arena.allocate(matrix.data().byteSize(), 8).copyFrom(matrix.data()),
        arena.allocate(scales.byteSize(), 8).copyFrom(scales));
  }

  @Test
  void aStepThatFailsInTheMiddleLeavesTheNextOnesAsTheyWouldHaveBeen() {
    Arena arena = Arena.ofShared();
    try (Rig rig = new Rig(provider(), model.program, movable(model, arena), new Capacities())) {
      same("before", rig.run(Seq.all(new int[] {0}, 0, 1, 2, 3)).logits(), whole(1, 2, 3));
      arena.close();
      int numFailed = 0;
      for (int token = 0; token < TinyModel.VOCAB; token++) {
        float[] logits;
        try {
          logits = rig.run(Seq.all(new int[] {token}, 0, token)).logits();
        } catch (IllegalStateException e) {
          numFailed++;
          continue;
        }
        same("token " + token, logits, whole(token));
      }
      assertThat(numFailed).isBetween(3, TinyModel.VOCAB - 3);
    }
  }

  @Test
  void afterAStepThatFailedNoRowOfAnEarlierOneCanBeNamed() {
    try (Rig rig = rig()) {
      int[] blocks = {0, 1};
      rig.run(Seq.last(blocks, 0, 1, 2));
      StepBatch batch = rig.executable().newBatch();
      SamplingRows rows = new SamplingRows(8);
      Rig.fill(batch, rows, rig.executable(), List.of(), Seq.last(blocks, 2, 3));
      assertThatThrownBy(() ->
              rig.executable()
                  .submit(
                      batch,
                      rows,
                      (r, row, logits, offset, vocab, out) -> {
                        throw new StackOverflowError("planned");
                      }))
          .isInstanceOf(StackOverflowError.class)
          .hasMessage("planned");
      assertThatThrownBy(() -> rig.run(Seq.last(blocks, 3, -1)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("or a row of the previous step: -1");
      same("after", rig.run(Seq.all(blocks, 2, 3)).logits(), rows(whole(1, 2, 3), 2, 3));
    }
  }

  @Test
  void abortingFailsStepsAndIsHarmlessAfterClosing() {
    Rig rig = rig();
    rig.run(Seq.last(new int[] {0}, 0, 1));
    rig.executable().abort();
    assertThatThrownBy(() -> rig.run(Seq.last(new int[] {0}, 0, 1)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("step: expected to run to its end, was aborted");
    rig.close();
    rig.executable().abort();
  }

  @Test
  void theTokensOfEachExpertAreCountedHoweverTheyAreCut() {
    int[] tokens = TinyModel.tokens(11, 3);
    try (Rig whole = rig();
        Rig cut = rig()) {
      int[] blocks = whole.blocksFor(11);
      whole.run(Seq.last(blocks, 0, tokens));
      cut.run(Seq.none(blocks, 0, part(tokens, 0, 6)));
      cut.run(Seq.last(blocks, 6, part(tokens, 6, 11)));
      long[] counts = whole.executable().expertLoads().layers().getFirst().tokens();
      assertThat(whole.executable().expertLoads().layers()).hasSize(1);
      assertThat(Arrays.stream(counts).sum()).isEqualTo(11L * TinyModel.TOP_K);
      assertThat(cut.executable().expertLoads().layers().getFirst().tokens()).isEqualTo(counts);
      whole.run(Seq.last(blocks, 0, tokens));
      assertThat(whole.executable().expertLoads().layers().getFirst().tokens())
          .isEqualTo(Arrays.stream(counts).map(n -> 2 * n).toArray());
    }
  }

  private static EngineRequest request(int token) {
    return new EngineRequest(
        new int[] {token},
        1,
        0,
        List.of(SamplingParams.GREEDY),
        new int[0],
        new int[0],
        List.of(),
        null,
        false);
  }

  private static CompletableFuture<RequestOutcome> submit(Engine engine, int token) {
    CompletableFuture<RequestOutcome> end = new CompletableFuture<>();
    engine.submit(
        request(token),
        new RequestListener() {
          @Override
          public void onToken(TokenEvent event) {
            // The outcome has it.
          }

          @Override
          public void onEnd(RequestOutcome outcome) {
            end.complete(outcome);
          }
        });
    return end;
  }

  @Test
  void anEngineFailsTheRequestsOfAStepThatFailedAndServesTheOthers() {
    Arena arena = Arena.ofShared();
    EngineOptions options = new EngineOptions(16, 4, 8, 8, 8, 4, 40, 100, TinyModel.VOCAB);
    try (Backend backend = provider().create(2)) {
      WeightSource weights = movable(model, arena);
      Executable executable =
          backend.compile(
              List.of(model.program),
              WeightFixture.place(backend, List.of(model.program), weights),
              new Capacities().blocks(4, 40, 6).maxTokens(8).options());
      try (Engine engine = new Engine(options, executable, Tokenizer.load(TOKENIZER))) {
        int[] intact = new int[TinyModel.VOCAB];
        for (int token = 0; token < intact.length; token++) {
          intact[token] =
              submit(engine, token).join().choices().getFirst().tokens().getFirst().token();
        }
        arena.close();
        List<Integer> failed = new ArrayList<>();
        for (int token = 0; token < intact.length; token++) {
          RequestOutcome outcome = submit(engine, token).join();
          RuntimeException failure = outcome.failure();
          if (failure == null) {
            assertThat(outcome.choices().getFirst().tokens().getFirst().token())
                .isEqualTo(intact[token]);
          } else {
            failed.add(token);
            assertThat(failure).isInstanceOf(GenerationException.class);
            assertThat(((FathomException) failure).code().number()).isEqualTo(6002);
            assertThat(outcome.choices().getFirst().reason()).isEqualTo(EndReason.ERROR);
          }
          assertThat(engine.health().status()).isEqualTo(EngineHealth.Status.UP);
          assertThat(engine.usedBlocks()).isZero();
        }
        assertThat(failed).hasSizeBetween(3, intact.length - 3);
        assertThat(engine.metrics().get(MetricsRecorder.Counter.FAILED_STEPS))
            .isEqualTo(failed.size());
      }
    }
  }
}
