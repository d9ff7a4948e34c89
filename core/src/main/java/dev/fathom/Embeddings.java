package dev.fathom;

import java.util.List;

/**
 * The vectors of texts.
 *
 * @param vectors one for each text, in order; each array belongs to the caller
 * @param dimensions elements of a vector: the model's hidden size; 0 where there is no text
 * @param tokens of each text, the beginning-of-sentence token included, after cutting
 */
public record Embeddings(List<float[]> vectors, int dimensions, List<Integer> tokens) {

  /** Copies the lists. */
  public Embeddings {
    vectors = List.copyOf(vectors);
    tokens = List.copyOf(tokens);
  }

  /** Returns the tokens of all texts together. */
  public long totalTokens() {
    return tokens.stream().mapToLong(Integer::longValue).sum();
  }
}
