package dev.fathom.engine;

import dev.fathom.grammar.GrammarMatcher;
import dev.fathom.sampling.TokenConstraint;

/**
 * Holds an answer to a grammar: from its start, or from where its reasoning ends or a mark has been
 * written. What comes before is free but for the tokens that {@link AnswerGrammar} excludes there.
 *
 * <p>End tokens are allowed where the grammar may end. For one choice; the engine's thread alone.
 */
public final class GrammarConstraint implements TokenConstraint {

  /** Tokens that can be taken back at once. */
  private static final int MAX_ROLLBACK = GrammarMatcher.MAX_ROLLBACK;

  private enum Phase {
    FREE,
    BOUND,
    ENDED,
    /** A draft assumes a token that is not allowed: what follows it will be taken back. */
    LOST
  }

  private final AnswerGrammar grammar;
  private final Phase[] phases = new Phase[MAX_ROLLBACK];
  private final int[] seenBefore = new int[MAX_ROLLBACK];
  private GrammarMatcher matcher;
  private Phase phase;
  private int seen;
  private int numTokens;

  /** Starts an answer. */
  public GrammarConstraint(AnswerGrammar grammar) {
    this.grammar = grammar;
    this.matcher = grammar.grammar().newMatcher();
    this.phase = grammar.trigger() == null ? Phase.BOUND : Phase.FREE;
  }

  @Override
  public boolean isActive() {
    return switch (phase) {
      case FREE -> grammar.freeTokens() != null || seen > 0;
      case BOUND -> true;
      case ENDED, LOST -> false;
    };
  }

  @Override
  public void restrict(long[] allowed) {
    switch (phase) {
      case FREE -> restrictFree(allowed);
      case BOUND -> restrictBound(allowed);
      case ENDED, LOST -> {}
    }
  }

  private void restrictFree(long[] allowed) {
    long[] free = grammar.freeTokens();
    if (free != null) {
      and(allowed, free);
    }
    if (grammar.trigger() != null) {
      grammar.trigger().forbidWrongStarts(seen, grammar.grammar(), allowed);
    }
  }

  private void restrictBound(long[] allowed) {
    long[] mask = matcher.mask();
    int[] ends = grammar.endIds();
    boolean mayEnd = matcher.mayEnd();
    long kept = 0;
    for (int i = 0; i < ends.length && mayEnd; i++) {
      kept |= (allowed[ends[i] >> 6] >>> ends[i] & 1) << i;
    }
    and(allowed, mask);
    for (int i = 0; i < ends.length; i++) {
      if ((kept >> i & 1) != 0) {
        allowed[ends[i] >> 6] |= 1L << ends[i];
      }
    }
  }

  private static void and(long[] allowed, long[] mask) {
    int common = Math.min(allowed.length, mask.length);
    for (int w = 0; w < common; w++) {
      allowed[w] &= mask[w];
    }
    for (int w = common; w < allowed.length; w++) {
      allowed[w] = 0;
    }
  }

  @Override
  public void accept(int token) {
    int slot = numTokens++ % MAX_ROLLBACK;
    phases[slot] = phase;
    seenBefore[slot] = seen;
    switch (phase) {
      case FREE -> acceptFree(token);
      case BOUND -> {
        if (!matcher.accept(token)) {
          phase = isEnd(token) ? Phase.ENDED : Phase.LOST;
        }
      }
      case ENDED, LOST -> {}
    }
  }

  private void acceptFree(int token) {
    byte[] bytes = grammar.tokenBytes(token);
    if (grammar.trigger() == null) {
      return;
    }
    int after = grammar.trigger().read(seen, bytes);
    if (after >= 0) {
      seen = after;
      return;
    }
    seen = 0;
    phase = Phase.BOUND;
    matcher = grammar.grammar().newMatcher();
    if (!matcher.acceptBytes(bytes, -1 - after)) {
      phase = Phase.LOST;
    }
  }

  private boolean isEnd(int token) {
    for (int end : grammar.endIds()) {
      if (end == token && matcher.mayEnd()) {
        return true;
      }
    }
    return false;
  }

  @Override
  public void rollback(int tokens) {
    if (tokens < 0 || tokens > Math.min(numTokens, MAX_ROLLBACK)) {
      throw new IllegalArgumentException("must be in [0, " + MAX_ROLLBACK + "]: tokens=" + tokens);
    }
    for (int i = 0; i < tokens; i++) {
      int slot = --numTokens % MAX_ROLLBACK;
      if (phases[slot] == Phase.BOUND && phase == Phase.BOUND) {
        matcher.rollback(1);
      }
      phase = phases[slot];
      seen = seenBefore[slot];
    }
  }
}
