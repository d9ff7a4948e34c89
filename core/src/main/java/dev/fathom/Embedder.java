package dev.fathom;

import dev.fathom.engine.Engine;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Embeds texts with the engine of a model: checks, cuts, normalises.
 *
 * @param engine computes
 * @param reader encodes and checks tokens
 * @param output name of the hidden states among the program's outputs, or null where they have none
 */
record Embedder(Engine engine, RequestReader reader, @Nullable String output) {

  Embeddings embed(List<String> texts, EmbeddingOptions options) {
    List<int[]> ids = new ArrayList<>();
    for (String text : texts) {
      ids.add(reader.encode(Prompt.text(text)));
    }
    return embedTokens(ids, options);
  }

  Embeddings embedTokens(List<int[]> texts, EmbeddingOptions options) {
    List<int[]> checked = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      checked.add(checked(i, texts.get(i), options.truncated()));
    }
    boolean mean = options.pooling() == Pooling.MEAN;
    float[][] vectors = engine.hidden(checked, hiddenOutput(), mean, options.adapter());
    if (options.normalized()) {
      for (float[] vector : vectors) {
        normalize(vector);
      }
    }
    List<Integer> tokens = checked.stream().map(ids -> ids.length).toList();
    int dimensions = vectors.length == 0 ? 0 : vectors[0].length;
    return new Embeddings(Arrays.asList(vectors), dimensions, tokens);
  }

  private String hiddenOutput() {
    if (output == null) {
      throw Checks.invalid(
          "The model cannot embed",
          "its architecture does not name the input of the head",
          "name it as an output when the program is built");
    }
    return output;
  }

  private int[] checked(int i, int[] ids, boolean truncate) {
    int limit = engine.options().contextTokens();
    if (ids.length == 0) {
      throw Checks.invalid(
          "The text " + i + " is empty", "must be >= 1: tokens=0", "give at least one token");
    }
    reader.checkIds("ids", ids);
    if (ids.length <= limit) {
      return ids.clone();
    }
    if (truncate) {
      return Arrays.copyOf(ids, limit);
    }
    throw new InvalidRequestException(
        ErrorCode.PROMPT_TOO_LONG,
        "The text " + i + " does not fit the context",
        "must be <= " + limit + ": tokens=" + ids.length,
        "split or shorten the text, set truncated(true), or load the model with contextTokens("
            + ids.length
            + ") or more");
  }

  /** Scales to length 1, in float64. */
  private static void normalize(float[] vector) {
    double sum = 0;
    for (float value : vector) {
      sum += (double) value * value;
    }
    if (sum == 0) {
      return;
    }
    double factor = 1 / Math.sqrt(sum);
    for (int i = 0; i < vector.length; i++) {
      vector[i] = (float) (vector[i] * factor);
    }
  }
}
