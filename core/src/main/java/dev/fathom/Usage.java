package dev.fathom;

/**
 * Tokens of a generation.
 *
 * @param promptTokens tokens of the prompt, the beginning-of-sentence token included
 * @param cachedTokens those of them whose keys and values were cached by an earlier request
 * @param completionTokens tokens put out by all choices, end tokens included
 * @param reasoningTokens those of them that are reasoning
 * @param draftTokens guesses that steps verified, see {@link Speculation}
 * @param acceptedDraftTokens those of them that held: so many steps were saved
 */
public record Usage(
    int promptTokens,
    int cachedTokens,
    int completionTokens,
    int reasoningTokens,
    int draftTokens,
    int acceptedDraftTokens) {

  /** Tokens of a generation without guesses. */
  public Usage(int promptTokens, int cachedTokens, int completionTokens, int reasoningTokens) {
    this(promptTokens, cachedTokens, completionTokens, reasoningTokens, 0, 0);
  }

  /** Returns prompt and completion together. */
  public int totalTokens() {
    return promptTokens + completionTokens;
  }

  /** Returns the share of guesses that held, 0 where there were none. */
  public double draftAcceptance() {
    return draftTokens == 0 ? 0 : (double) acceptedDraftTokens / draftTokens;
  }
}
