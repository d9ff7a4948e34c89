package dev.fathom;

/**
 * Tokens of a generation.
 *
 * @param promptTokens tokens of the prompt, the beginning-of-sentence token included
 * @param cachedTokens those of them whose keys and values were cached by an earlier request
 * @param completionTokens tokens put out by all choices, end tokens included
 * @param reasoningTokens those of them that are reasoning
 */
public record Usage(int promptTokens, int cachedTokens, int completionTokens, int reasoningTokens) {

  /** Returns prompt and completion together. */
  public int totalTokens() {
    return promptTokens + completionTokens;
  }
}
