package dev.fathom.engine;

import dev.fathom.backend.SamplingParams;

/**
 * The guesses of one choice: tokens that its next step verifies, and how many held so far.
 *
 * <p>A guess costs a row of a step and never changes what is put out: the row behind it is used
 * only where the row before it sampled just this token. The engine's thread alone.
 */
final class Drafts {

  final DraftOptions options;

  /**
   * How a draft program's rows are sampled: as the choice is, with the random number of the same
   * position, so that two similar distributions mostly draw the same token.
   */
  final SamplingParams params;

  private final int[] token;
  private int count;
  private int assumed;
  private int masked;
  private int numDrafted;
  private int numAccepted;
  private int numFirstDrafted;
  private int numFirstAccepted;

  Drafts(DraftOptions options, SamplingParams choice) {
    this.options = options;
    this.params =
        new SamplingParams(
            choice.temperature(),
            choice.topK(),
            choice.topP(),
            choice.minP(),
            1,
            0,
            0,
            choice.seed(),
            0,
            false,
            choice.logitBias());
    this.token = new int[options.maxTokens()];
  }

  /** Returns the number of guesses for the next step. */
  int count() {
    return count;
  }

  /** Returns the i-th guess. */
  int token(int i) {
    return token[i];
  }

  void add(int guess) {
    token[count++] = guess;
  }

  void clear() {
    count = 0;
  }

  /** Returns how many guesses the choice's constraints took to mask the guesses behind them. */
  int masked() {
    return masked;
  }

  void setMasked(int guesses) {
    masked = guesses;
  }

  /** Returns how many guesses the sampling of the running step took for granted. */
  int assumed() {
    return assumed;
  }

  void assumeOneMore() {
    assumed++;
  }

  void forgetAssumed() {
    assumed = 0;
  }

  /** Notes that a step verified some guesses. */
  void noteVerified(int verified) {
    numDrafted += verified;
    numFirstDrafted += verified > 0 ? 1 : 0;
  }

  /** Notes that the i-th guess of the step held. */
  void noteHeld(int i) {
    numAccepted++;
    numFirstAccepted += i == 0 ? 1 : 0;
  }

  /** Returns what came of all guesses so far. */
  DraftCounts counts() {
    return new DraftCounts(numDrafted, numAccepted, numFirstDrafted, numFirstAccepted);
  }
}
