package dev.fathom.sampling;

import java.util.Arrays;

/** Allows some tokens and no other, in every row. Immutable, so one serves all choices. */
public final class AllowedTokens implements TokenConstraint {

  private final long[] words;

  /**
   * Creates the constraint.
   *
   * @param ids what may be put out; end tokens are not allowed unless they are among them
   * @param vocabSize number of tokens; no id may reach it
   */
  public AllowedTokens(int[] ids, int vocabSize) {
    this.words = new long[Math.ceilDiv(vocabSize, Long.SIZE)];
    for (int id : ids) {
      if (id < 0 || id >= vocabSize) {
        throw new IllegalArgumentException(
            "must be in [0, " + (vocabSize - 1) + "]: allowed token=" + id);
      }
      words[id >> 6] |= 1L << id;
    }
  }

  @Override
  public boolean isActive() {
    return true;
  }

  @Override
  public void restrict(long[] allowed) {
    for (int i = 0; i < words.length; i++) {
      allowed[i] &= words[i];
    }
    Arrays.fill(allowed, words.length, allowed.length, 0);
  }

  @Override
  public void accept(int token) {
    // Every row allows the same.
  }

  @Override
  public void rollback(int numTokens) {
    // Every row allows the same.
  }
}
