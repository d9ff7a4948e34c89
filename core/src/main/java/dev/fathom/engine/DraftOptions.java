package dev.fathom.engine;

/**
 * How many tokens are guessed ahead of each step of a choice, and by what.
 *
 * @param source what guesses
 * @param maxTokens most guesses of a step, 0 where nothing guesses
 * @param minMatch fewest tokens that must repeat before {@link Source#NGRAM} guesses
 * @param maxMatch most tokens that it compares
 */
public record DraftOptions(Source source, int maxTokens, int minMatch, int maxMatch) {

  /** What guesses. */
  public enum Source {
    /** Nothing. */
    NONE,
    /** The draft program that the executable was compiled with. */
    PROGRAM,
    /** What followed the last tokens where they stood before in prompt or output. */
    NGRAM
  }

  /** No guesses. */
  public static final DraftOptions NONE = new DraftOptions(Source.NONE, 0, 1, 1);

  /** Checks the ranges. */
  public DraftOptions {
    if (maxTokens < 0 || (maxTokens > 0) != (source != Source.NONE)) {
      throw new IllegalArgumentException(
          "must be > 0 just where something guesses: maxTokens=" + maxTokens + " of " + source);
    }
    if (minMatch < 1 || maxMatch < minMatch) {
      throw new IllegalArgumentException(
          "must be 1 <= minMatch <= maxMatch: minMatch=" + minMatch + " maxMatch=" + maxMatch);
    }
  }
}
