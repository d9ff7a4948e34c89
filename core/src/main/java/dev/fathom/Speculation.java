package dev.fathom;

import dev.fathom.engine.DraftOptions;

/**
 * Speculative decoding: tokens are guessed, and one step of the model verifies several guesses at
 * once. The output is the same with and without, token by token, for any temperature: a guess holds
 * only where the model itself, with the random number of this position, draws just this token.
 *
 * <p>{@link #mtp} guesses with the checkpoint's module of multi-token prediction, which then is
 * loaded beside the model. {@link #ngram} looks up where the last tokens stood before in prompt or
 * output; it needs nothing of the checkpoint and pays where output repeats input. Immutable.
 */
public final class Speculation {

  /** Most guesses of a step. */
  public static final int MAX_TOKENS = 16;

  private static final int MAX_MATCH = 64;
  private static final int DEFAULT_MIN_MATCH = 2;
  private static final int DEFAULT_MAX_MATCH = 8;
  private static final Speculation OFF = new Speculation(DraftOptions.NONE);

  private final DraftOptions options;

  private Speculation(DraftOptions options) {
    this.options = options;
  }

  /** No guesses. */
  public static Speculation off() {
    return OFF;
  }

  /** Guesses by the module of multi-token prediction. */
  public static Speculation mtp() {
    return mtp(1);
  }

  /**
   * Guesses by the module of multi-token prediction.
   *
   * @param tokens most guesses of a step, 1 to {@value #MAX_TOKENS}; those after the first continue
   *     the module's own states and hold less often
   * @throws dev.fathom.error.InvalidRequestException if out of range
   */
  public static Speculation mtp(int tokens) {
    Checks.inRange("speculation.tokens", tokens, 1, MAX_TOKENS);
    return new Speculation(new DraftOptions(DraftOptions.Source.PROGRAM, tokens, 1, 1));
  }

  /**
   * Guesses what followed the last tokens before.
   *
   * @param tokens most guesses of a step, 1 to {@value #MAX_TOKENS}
   * @throws dev.fathom.error.InvalidRequestException if out of range
   */
  public static Speculation ngram(int tokens) {
    return ngram(tokens, DEFAULT_MIN_MATCH, DEFAULT_MAX_MATCH);
  }

  /**
   * Guesses what followed the last tokens before.
   *
   * @param tokens most guesses of a step, 1 to {@value #MAX_TOKENS}
   * @param minMatch fewest tokens that must have stood before, at least 1
   * @param maxMatch most tokens that are compared, at least minMatch; the longest match wins
   * @throws dev.fathom.error.InvalidRequestException if out of range
   */
  public static Speculation ngram(int tokens, int minMatch, int maxMatch) {
    Checks.inRange("speculation.tokens", tokens, 1, MAX_TOKENS);
    Checks.inRange("speculation.maxMatch", maxMatch, 1, MAX_MATCH);
    Checks.inRange("speculation.minMatch", minMatch, 1, maxMatch);
    return new Speculation(new DraftOptions(DraftOptions.Source.NGRAM, tokens, minMatch, maxMatch));
  }

  /** Returns whether the checkpoint's module guesses. */
  public boolean usesModule() {
    return options.source() == DraftOptions.Source.PROGRAM;
  }

  /** Returns the most guesses of a step, 0 where nothing guesses. */
  public int tokens() {
    return options.maxTokens();
  }

  DraftOptions options() {
    return options;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Speculation that && options.equals(that.options);
  }

  @Override
  public int hashCode() {
    return options.hashCode();
  }

  /** Returns {@code off}, {@code mtp(1)} or {@code ngram(4, 2, 8)}. */
  @Override
  public String toString() {
    return switch (options.source()) {
      case NONE -> "off";
      case PROGRAM -> "mtp(" + tokens() + ")";
      case NGRAM ->
          "ngram(" + tokens() + ", " + options.minMatch() + ", " + options.maxMatch() + ")";
    };
  }
}
