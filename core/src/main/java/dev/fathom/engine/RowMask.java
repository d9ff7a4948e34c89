package dev.fathom.engine;

import dev.fathom.sampling.TokenConstraint;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The constraints of a choice and the mask that they give its next row. Words are allocated with
 * the first active constraint, then used again. The engine's thread alone.
 */
final class RowMask {

  private final List<TokenConstraint> constraints;
  private final int vocabSize;
  private long @Nullable [] words;

  private RowMask(List<TokenConstraint> constraints, int vocabSize) {
    this.constraints = constraints;
    this.vocabSize = vocabSize;
  }

  /** Makes the constraints of a choice; null where there are none. */
  static @Nullable RowMask of(EngineRequest spec, int vocabSize) {
    List<TokenConstraint> constraints = new ArrayList<>();
    if (spec.minTokens() > 0) {
      constraints.add(new LeastLength(spec));
    }
    for (Supplier<TokenConstraint> maker : spec.controls().constraints()) {
      constraints.add(maker.get());
    }
    return constraints.isEmpty() ? null : new RowMask(constraints, vocabSize);
  }

  /** Takes a token and returns the mask of the row behind it. */
  long @Nullable [] after(int token) {
    for (int i = 0; i < constraints.size(); i++) {
      constraints.get(i).accept(token);
    }
    return next();
  }

  /** Takes the last tokens back. */
  void rollback(int numTokens) {
    for (int i = 0; i < constraints.size(); i++) {
      constraints.get(i).rollback(numTokens);
    }
  }

  /** Returns the allowed tokens of the next row, valid until the next call; null where all are. */
  long @Nullable [] next() {
    long[] allowed = null;
    for (int i = 0; i < constraints.size(); i++) {
      TokenConstraint constraint = constraints.get(i);
      if (constraint.isActive()) {
        if (allowed == null) {
          allowed = cleared();
        }
        constraint.restrict(allowed);
      }
    }
    return allowed;
  }

  private long[] cleared() {
    long[] all = words;
    if (all == null) {
      all = new long[Math.ceilDiv(vocabSize, Long.SIZE)];
      words = all;
    }
    Arrays.fill(all, -1);
    return all;
  }

  /** Forbids end and stop tokens until enough tokens came. */
  private static final class LeastLength implements TokenConstraint {

    private final EngineRequest spec;
    private int length;

    LeastLength(EngineRequest spec) {
      this.spec = spec;
    }

    @Override
    public boolean isActive() {
      return length < spec.minTokens();
    }

    @Override
    public void restrict(long[] allowed) {
      forbid(allowed, spec.endIds());
      forbid(allowed, spec.stopIds());
    }

    private static void forbid(long[] allowed, int[] ids) {
      for (int id : ids) {
        allowed[id >> 6] &= ~(1L << id);
      }
    }

    @Override
    public void accept(int token) {
      length++;
    }

    @Override
    public void rollback(int numTokens) {
      length -= numTokens;
    }
  }
}
