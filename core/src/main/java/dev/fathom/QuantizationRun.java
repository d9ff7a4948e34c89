package dev.fathom;

import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.WeightPlacement;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.engine.BackendSelection;
import dev.fathom.program.Program;
import dev.fathom.quantization.CheckpointQuantizer;
import dev.fathom.quantization.QuantizationListener;
import dev.fathom.quantization.QuantizationRecipe;
import dev.fathom.quantization.QuantizationReport;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Brings what a quantization needs together: the source, a backend for its calibration, and token
 * sequences to run it on.
 */
final class QuantizationRun {

  /** Longest calibration sequence, in tokens. */
  private static final int SEQUENCE_TOKENS = 256;

  private static final int OWN_SEED = 2026;
  private static final int AT_ONCE = 64;

  private final Path source;
  private final QuantizationRecipe recipe;

  private QuantizationRun(Path source, QuantizationRecipe recipe) {
    this.source = source;
    this.recipe = recipe;
  }

  static QuantizationReport run(
      Path source, Path target, QuantizationRecipe recipe, QuantizationListener listener) {
    QuantizationRun run = new QuantizationRun(source, recipe);
    return new CheckpointQuantizer(Checkpoint.open(source), target, recipe, listener)
        .run(run::sequences, QuantizationRun::backend);
  }

  private static Backend backend(Program program) {
    // Layers are read where the mapped files lie.
    return BackendSelection.choose(BackendSelection.AUTO, false, program)
        .provider()
        .create(BackendOptions.DEFAULT.withPlacement(WeightPlacement.IN_PLACE));
  }

  /** The recipe's texts cut into sequences, or what the model writes by itself. */
  private List<int[]> sequences() {
    if (!recipe.calibration().texts().isEmpty()) {
      Checkpoint checkpoint = Checkpoint.open(source);
      return given(
          ModelText.of(checkpoint, checkpoint.generationDefaults(), LoadOptions.defaults())
              .tokenizer());
    }
    // Mapped: the system may drop pages of the weights, so that this needs no memory for all.
    try (DeepSeekModel model =
        DeepSeekModel.builder(source)
            .contextTokens(SEQUENCE_TOKENS)
            .maxSequences(16)
            .mapWeights(true)
            .load()) {
      return ownTexts(model);
    }
  }

  private List<int[]> given(Tokenizer tokenizer) {
    List<int[]> sequences = new ArrayList<>();
    for (String text : recipe.calibration().texts()) {
      int[] ids = tokenizer.encodeWithSpecials(text);
      for (int from = 0; from < ids.length; from += SEQUENCE_TOKENS) {
        sequences.add(Arrays.copyOfRange(ids, from, Math.min(ids.length, from + SEQUENCE_TOKENS)));
      }
    }
    if (sequences.isEmpty()) {
      throw Checks.invalid(
          "The recipe cannot be followed",
          "must hold at least one token: calibration texts",
          "give longer texts, or none and the model writes its own");
    }
    return sequences;
  }

  /** Samples texts from the begin token on, a few at a time, each with a seed of its own. */
  private List<int[]> ownTexts(DeepSeekModel model) {
    int[] begin = model.encode(Prompt.text(""));
    int[] prompt = begin.length == 0 ? new int[] {0} : begin;
    List<int[]> sequences = new ArrayList<>();
    int count = recipe.calibration().ownTexts();
    for (int from = 0; from < count; from += AT_ONCE) {
      List<CompletableFuture<Generation>> texts = new ArrayList<>();
      for (int i = from; i < Math.min(count, from + AT_ONCE); i++) {
        texts.add(
            model.submit(
                GenerationRequest.of(Prompt.tokens(prompt))
                    .temperature(1)
                    .topP(1)
                    .topK(0)
                    .seed(OWN_SEED + i)
                    .maxTokens(SEQUENCE_TOKENS - prompt.length)
                    .build()));
      }
      for (CompletableFuture<Generation> text : texts) {
        int[] written = text.join().tokenIds();
        int[] ids = Arrays.copyOf(prompt, prompt.length + written.length);
        System.arraycopy(written, 0, ids, prompt.length, written.length);
        sequences.add(ids);
      }
    }
    return sequences;
  }
}
