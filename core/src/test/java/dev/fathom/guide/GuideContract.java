package dev.fathom.guide;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.DeepSeekModel;
import dev.fathom.EmbeddingOptions;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The architecture that docs/adding-an-architecture.md adds is loaded and runs as any other. */
public abstract class GuideContract {

  private static final int[] IDS = {0, 17, 5, 4099, 3, 17, 8000, 61, 2, 9, 30};

  @TempDir Path folder;

  /** Names the backend that is tested. */
  protected abstract String backend();

  private DeepSeekModel.Builder builder() {
    return DeepSeekModel.builder(folder)
        .backend(backend())
        .architecture(new ParallelDecoder())
        .kvBlockTokens(4)
        .prefillChunkTokens(16);
  }

  private static float[] logits(DeepSeekModel model, int chunk) {
    float[] all = new float[IDS.length * ParallelCheckpoint.VOCAB];
    model.logits(
        IDS,
        chunk,
        (position, logits, offset, vocab) ->
            System.arraycopy(logits, offset, all, position * vocab, vocab));
    return all;
  }

  @Test
  void anArchitectureInOneFileGivesTheLogitsOfAPlainProgramInChunksOfAnySize() throws IOException {
    ParallelCheckpoint checkpoint = new ParallelCheckpoint(folder);
    double[][] want = checkpoint.logits(IDS);
    try (DeepSeekModel model = builder().load()) {
      assertThat(model.diagnostics().modelType()).isEqualTo("parallel");
      float[] whole = logits(model, IDS.length);
      for (int t = 0; t < IDS.length; t++) {
        for (int v = 0; v < ParallelCheckpoint.VOCAB; v++) {
          assertThat((double) whole[t * ParallelCheckpoint.VOCAB + v])
              .isCloseTo(want[t][v], within(2e-4));
        }
      }
      for (int chunk : new int[] {1, 3, 7}) {
        assertThat(logits(model, chunk)).isEqualTo(whole);
      }
    }
  }

  @Test
  void itGeneratesAndEmbedsAsAnyOther() throws IOException {
    ParallelCheckpoint checkpoint = new ParallelCheckpoint(folder);
    double[] last = checkpoint.logits(IDS)[IDS.length - 1];
    int best = 0;
    for (int v = 1; v < last.length; v++) {
      best = last[v] > last[best] ? v : best;
    }
    try (DeepSeekModel model = builder().load()) {
      Generation answer =
          model.generate(
              GenerationRequest.of(Prompt.tokens(IDS)).temperature(0).maxTokens(3).build());
      assertThat(answer.tokenIds()[0]).isEqualTo(best);
      assertThat(model.embedTokens(List.of(IDS), EmbeddingOptions.defaults()).vectors().getFirst())
          .hasSize(12);
    }
  }

  @Test
  void withoutItTheModelTypeIsUnknown() throws IOException {
    ParallelCheckpoint checkpoint = new ParallelCheckpoint(folder);
    assertThat(checkpoint.logits(new int[] {1})).hasDimensions(1, ParallelCheckpoint.VOCAB);
    assertThatThrownBy(() -> DeepSeekModel.builder(folder).backend(backend()).load())
        .isInstanceOfSatisfying(
            ModelConfigException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.UNKNOWN_ARCHITECTURE));
  }
}
