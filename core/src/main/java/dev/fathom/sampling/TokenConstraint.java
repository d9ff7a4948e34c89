package dev.fathom.sampling;

/**
 * Decides which tokens may come next in one choice: a grammar, a set of allowed tokens, a least
 * length.
 *
 * <p>This is the one place where the mask of a row comes from. The engine makes the constraints of
 * a choice once, keeps them as long as the choice lives (preempting it changes nothing for them),
 * and computes the mask of the next row right after it took the token before it: {@link #accept},
 * then {@link #restrict} into words that start with all bits set. Several constraints of a choice
 * restrict the same words, so a token is allowed where all of them allow it. A draft is taken by
 * {@code accept} as well, one mask a row, and what was rejected is taken back by {@link #rollback}.
 *
 * <p>All calls come from the engine's thread. What a constraint throws fails its request alone.
 */
public interface TokenConstraint {

  /**
   * Returns whether {@link #restrict} would forbid anything now. Where no constraint of a choice
   * does, its row is sampled without a mask.
   */
  boolean isActive();

  /**
   * Forbids tokens: clears bit i % 64 of word i / 64 for each token i that may not come next, and
   * sets none.
   *
   * @param allowed ceil(V / 64) words; bits from V on mean nothing
   */
  void restrict(long[] allowed);

  /** Takes a token that was put out, end tokens included, or that a draft assumes. */
  void accept(int token);

  /**
   * Takes back the last accepted tokens.
   *
   * @param numTokens how many, at most as many as were accepted since the last token that was put
   *     out for good
   */
  void rollback(int numTokens);
}
