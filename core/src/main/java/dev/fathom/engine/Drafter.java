package dev.fathom.engine;

import dev.fathom.backend.Executable;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.sampling.HostSampler;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Guesses, after each step, the tokens that the next one verifies.
 *
 * <p>Where a draft program guesses, it first runs over every token that the step computed for good,
 * each with the token that follows it, so that its own layer of the cache stays complete; the last
 * row of a sequence gives the first guess. Further guesses continue its own states, one step each
 * for all sequences together. A draft step that fails costs its guesses only; a broken backend is
 * the loop's affair.
 *
 * <p>Allocates nothing in a steady step. The engine's thread alone.
 */
final class Drafter {

  private static final Logger log = LoggerFactory.getLogger(Drafter.class);
  private static final int PROGRAM = 1;

  private final StepRunner steps;
  private final HostSampler sampler = new HostSampler();
  private final boolean hasProgram;
  private final StepBatch batch;
  private final SamplingRows rows;
  private final @Nullable Sequence[] drafting;
  private final int[] state;
  private int numDrafting;
  private int numTokens;

  Drafter(EngineOptions options, Executable executable, StepRunner steps) {
    this.steps = steps;
    this.hasProgram = executable.numPrograms() > PROGRAM;
    this.batch = executable.newBatch();
    this.rows = new SamplingRows(options.maxRows());
    this.drafting = new Sequence[options.maxSequences()];
    this.state = new int[options.maxSequences()];
  }

  /**
   * Guesses for the sequences of a completed and delivered step.
   *
   * @param step as it was submitted
   */
  void propose(StepPlan plan, StepBatch step) {
    boolean programs = false;
    for (int i = 0; i < plan.size(); i++) {
      Sequence s = plan.sequence(i);
      Drafts drafts = s.drafts;
      if (drafts == null || s.state != Sequence.State.RUNNING) {
        continue;
      }
      drafts.clear();
      if (drafts.options.source() == DraftOptions.Source.PROGRAM) {
        programs = true;
      } else if (plan.row(i) >= 0) {
        NgramDrafts.propose(s, drafts, limit(s, drafts));
      }
    }
    if (programs && hasProgram) {
      runProgram(plan, step);
    }
  }

  /** Most guesses that can be put out, beside the token that each step puts out anyway. */
  private static int limit(Sequence s, Drafts drafts) {
    return Math.min(drafts.options.maxTokens(), s.maxPositions - s.numTokens() - 1);
  }

  private void runProgram(StepPlan plan, StepBatch step) {
    try {
      follow(plan, step);
      if (numTokens == 0) {
        return;
      }
      SampledRows sampled = submit();
      for (int depth = 1; takeGuesses(sampled, depth) > 0; depth++) {
        sampled = submit();
      }
    } catch (RuntimeException | Error e) {
      if (StepFailure.isBroken(e)) {
        throw e;
      }
      log.warn("draft step failed: tokens={} reason={}", numTokens, e.toString());
      dropGuesses(plan);
    } finally {
      unmask(plan);
      for (int i = 0; i < drafting.length; i++) {
        drafting[i] = null;
      }
    }
  }

  /**
   * Takes back what constraints took for the masks of guesses, and restores the next row's mask.
   */
  private static void unmask(StepPlan plan) {
    for (int i = 0; i < plan.size(); i++) {
      Sequence s = plan.sequence(i);
      Drafts drafts = s.drafts;
      RowMask constraints = s.constraints;
      if (drafts != null && constraints != null && drafts.masked() > 0) {
        constraints.rollback(drafts.masked());
        drafts.setMasked(0);
        s.mask = constraints.next();
      }
    }
  }

  private static void dropGuesses(StepPlan plan) {
    for (int i = 0; i < plan.size(); i++) {
      Drafts drafts = plan.sequence(i).drafts;
      if (drafts != null) {
        drafts.clear();
      }
    }
  }

  private SampledRows submit() {
    return steps.run(batch, rows, sampler).sampled();
  }

  private void clear() {
    batch.clear(PROGRAM);
    rows.clear();
    numTokens = 0;
  }

  /** Fills the step that runs over what the main program computed for good. */
  private void follow(StepPlan plan, StepBatch step) {
    clear();
    numDrafting = 0;
    for (int i = 0; i < plan.size(); i++) {
      Sequence s = plan.sequence(i);
      Drafts drafts = s.drafts;
      int first = step.firstToken(i);
      int begin = step.position(first);
      int n = Math.min(step.firstToken(i + 1) - first, s.numTokens() - 1 - begin);
      if (drafts == null
          || drafts.options.source() != DraftOptions.Source.PROGRAM
          || s.state != Sequence.State.RUNNING
          || n <= 0) {
        continue;
      }
      boolean wants = plan.row(i) >= 0 && limit(s, drafts) > 0;
      StepPlan.addSequence(batch, s, wants ? 1 : 0);
      for (int t = 0; t < n; t++) {
        addToken(s.token(begin + t + 1), begin + t, first + t);
      }
      if (wants) {
        want(s, drafts);
      }
    }
  }

  private void addToken(int token, int position, int hidden) {
    batch.addToken(token, position);
    batch.addHidden(hidden);
    numTokens++;
  }

  private void want(Sequence s, Drafts drafts) {
    drafting[numDrafting] = s;
    state[numDrafting++] = numTokens - 1;
    rows.add(drafts.params, s.numTokens() + (long) drafts.count(), null, nextMask(s, drafts));
  }

  /** The mask of the next row is known; that behind a guess follows from it. */
  private static long @Nullable [] nextMask(Sequence s, Drafts drafts) {
    RowMask constraints = s.constraints;
    if (constraints == null || drafts.count() == 0) {
      return s.mask;
    }
    drafts.setMasked(drafts.masked() + 1);
    return constraints.after(drafts.token(drafts.count() - 1));
  }

  /** Takes a guess of each drafting sequence and fills the step of those that go on. */
  private int takeGuesses(SampledRows sampled, int depth) {
    int n = numDrafting;
    clear();
    numDrafting = 0;
    for (int i = 0; i < n; i++) {
      Sequence s = drafting[i];
      Drafts drafts = s == null ? null : s.drafts;
      int token = sampled.token(i);
      if (s == null || drafts == null || token < 0 || s.request.isEnd(token)) {
        continue;
      }
      drafts.add(token);
      int position = s.numTokens() - 2 + depth;
      if (depth < limit(s, drafts) && position < s.roomEnd) {
        int hidden = state[i];
        StepPlan.addSequence(batch, s, 1);
        addToken(token, position, hidden);
        want(s, drafts);
      }
    }
    return numDrafting;
  }
}
