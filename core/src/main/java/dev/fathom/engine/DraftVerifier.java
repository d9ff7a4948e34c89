package dev.fathom.engine;

import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import org.jspecify.annotations.Nullable;

/**
 * Samples the rows behind guesses. A row is sampled only where all guesses before it are what the
 * rows before it sampled; its penalties, mask and processors then see these as put out. So each
 * sampled row is the one that a step without guesses would have sampled, with the random number of
 * the same position, and the output is the same with guesses and without.
 *
 * <p>Relies on rows being sampled in ascending order on one thread. {@link #finish} takes back what
 * was assumed, for the delivery to do for good. The engine's thread alone.
 */
final class DraftVerifier implements RowSampler {

  /** Token of a row behind a guess that did not hold. */
  static final int UNREACHED = -3;

  private final RowSampler sampler;
  private final @Nullable Sequence[] owner;
  private final int[] guess;

  DraftVerifier(RowSampler sampler, int maxRows) {
    this.sampler = sampler;
    this.owner = new Sequence[maxRows];
    this.guess = new int[maxRows];
  }

  /** Learns whose rows are behind guesses. */
  void begin(StepPlan plan) {
    if (plan.totalDrafts() == 0) {
      return;
    }
    for (int i = 0; i < plan.size(); i++) {
      int row = plan.row(i);
      for (int j = 0; row >= 0 && j <= plan.numDrafts(i); j++) {
        owner[row + j] = plan.sequence(i);
        guess[row + j] = j;
      }
    }
  }

  @Override
  public void sample(
      SamplingRows rows, int row, float[] logits, int offset, int vocabSize, SampledRows out) {
    Sequence s = owner[row];
    if (guess[row] > 0 && s != null && !reach(rows, row, s, out)) {
      out.set(row, UNREACHED, Float.NaN);
      return;
    }
    sampler.sample(rows, row, logits, offset, vocabSize, out);
  }

  /** Takes the guess before a row for granted, if it held. */
  private boolean reach(SamplingRows rows, int row, Sequence s, SampledRows out) {
    Drafts drafts = s.drafts;
    if (drafts == null) {
      return false;
    }
    int token = drafts.token(guess[row] - 1);
    if (out.token(row - 1) != token) {
      return false;
    }
    if (s.constraints != null) {
      try {
        rows.setMask(row, s.constraints.after(token));
      } catch (RuntimeException | Error e) {
        // The delivery of the token meets the same failure and knows whom it concerns.
        return false;
      }
    }
    s.append(token);
    if (s.counts != null) {
      s.counts.addOutput(token);
    }
    drafts.assumeOneMore();
    return true;
  }

  /** Takes back what was assumed, whether the step succeeded or not. */
  void finish(StepPlan plan) {
    for (int i = 0; i < plan.size() && plan.totalDrafts() > 0; i++) {
      Sequence s = plan.sequence(i);
      Drafts drafts = s.drafts;
      if (drafts != null && drafts.assumed() > 0) {
        takeBack(s, drafts.assumed());
        drafts.forgetAssumed();
      }
    }
  }

  private static void takeBack(Sequence s, int n) {
    for (int i = 0; i < n; i++) {
      int token = s.removeLast();
      if (s.counts != null) {
        s.counts.removeOutput(token);
      }
    }
    if (s.constraints != null) {
      s.constraints.rollback(n);
    }
  }
}
