package dev.fathom.examples.eval;

import dev.fathom.DeepSeekModel;
import dev.fathom.FinishReason;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Perplexity;
import dev.fathom.Prompt;
import dev.fathom.text.Tokenizer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Runs tasks on a loaded model. All answers of a task are asked for at once: the engine batches.
 */
public final class Scorer {

  private static final int MAX_TEXT_TOKENS = 1024;
  private static final int WINDOW = 256;

  private final DeepSeekModel model;
  private final Tokenizer tokenizer;
  private final @Nullable String adapter;

  /** Scores this model. */
  public Scorer(DeepSeekModel model) {
    this(model, null);
  }

  /**
   * Scores this model with an adapter.
   *
   * @param adapter name of a loaded one, or null
   */
  public Scorer(DeepSeekModel model, @Nullable String adapter) {
    this.model = model;
    this.adapter = adapter;
    this.tokenizer = model.tokenizer();
  }

  /** Returns the share of right answers. */
  public Score exactMatch(String task, List<Exercise> exercises) {
    long start = System.nanoTime();
    int right = 0;
    for (int from = 0; from < exercises.size(); from += WINDOW) {
      right += right(exercises.subList(from, Math.min(from + WINDOW, exercises.size())));
    }
    double share = (double) right / (double) exercises.size();
    return new Score(task, Score.Metric.EXACT_MATCH, share, exercises.size(), since(start));
  }

  private int right(List<Exercise> exercises) {
    List<CompletableFuture<Generation>> answers = new ArrayList<>();
    for (Exercise exercise : exercises) {
      int[] ids = tokenizer.encodeWithSpecials(exercise.prompt());
      answers.add(
          model.submit(
              GenerationRequest.of(Prompt.tokens(ids))
                  .temperature(0)
                  .maxTokens(exercise.maxTokens())
                  .adapter(adapter)
                  .build()));
    }
    int right = 0;
    for (int i = 0; i < answers.size(); i++) {
      right += exercises.get(i).isRight(rawText(answers.get(i).join())) ? 1 : 0;
    }
    return right;
  }

  /** Returns what the model wrote, control tokens included, without the end token. */
  private String rawText(Generation answer) {
    int[] ids = answer.tokenIds();
    boolean ended = answer.finishReason() == FinishReason.EOS && ids.length > 0;
    return tokenizer.decode(ended ? Arrays.copyOf(ids, ids.length - 1) : ids);
  }

  /** Returns the perplexity over all tokens after the first of each text. */
  public Score perplexity(String task, List<String> texts) {
    long start = System.nanoTime();
    Perplexity sum = Perplexity.NONE;
    int chunk = model.diagnostics().maxLogitsChunk();
    for (String text : texts) {
      int[] ids = tokenizer.encodeWithSpecials(text);
      int len = Math.min(ids.length, MAX_TEXT_TOKENS);
      if (len > 1) {
        sum = sum.plus(model.perplexity(Arrays.copyOf(ids, len), chunk, adapter));
      }
    }
    return new Score(task, Score.Metric.PERPLEXITY, sum.value(), sum.numTokens(), since(start));
  }

  private static Duration since(long startNanos) {
    return Duration.ofNanos(System.nanoTime() - startNanos);
  }
}
