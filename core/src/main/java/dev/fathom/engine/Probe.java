package dev.fathom.engine;

import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;

/**
 * Steps that compute something else than the next token of a request. The engine's thread runs them
 * in turn with the steps of requests.
 */
sealed interface Probe permits ProbeStep, HiddenProbe {

  /** Takes the blocks that the next step needs; returns false where there are none now. */
  boolean pin(Scheduler scheduler);

  /** Frees all blocks; idempotent. */
  void unpin(Scheduler scheduler);

  /**
   * Runs a step.
   *
   * @return whether it wants another without being asked again
   */
  boolean run(StepRunner steps, StepBatch batch, SamplingRows rows);

  /**
   * Goes on after the last step that it wanted.
   *
   * @param freed is told after blocks were freed and before anybody hears of the result
   */
  void end(Scheduler scheduler, Runnable freed);

  /** Ends it with a failure. */
  void fail(RuntimeException cause);

  /** Gives the executable what it wants of a row whose sample nobody reads. */
  static void ignore(
      SamplingRows rows, int row, float[] logits, int offset, int vocabSize, SampledRows out) {
    out.set(row, 0, 0);
  }
}
