package dev.fathom.engine;

/**
 * How the scheduler shares out blocks and steps. Results do not depend on it.
 *
 * @param admission when a waiting sequence may start
 * @param prefixCache whether computed prefixes are reused
 * @param longPromptTokens most tokens of one prompt in a step while other prompts want some too, so
 *     that a long prompt does not hold up short ones; at least 1
 * @param watermarkPermille share of each pool that must stay free when a sequence is admitted
 *     beside others, so that it is not preempted at once; 0 to 1000
 */
public record SchedulingOptions(
    Admission admission, PrefixCache prefixCache, int longPromptTokens, int watermarkPermille) {

  /** Overcommitment, prefixes are reused, a prompt among others takes 128 tokens of a step. */
  public static final SchedulingOptions DEFAULT =
      new SchedulingOptions(Admission.OVERCOMMIT, PrefixCache.ON, 128, 10);

  /** When a waiting sequence may start. */
  public enum Admission {
    /**
     * When its prompt fits. Where blocks run out later, the sequence that came last gives up its
     * own, and computes them again.
     */
    OVERCOMMIT,
    /** When everything fits that it and the others may need to their ends: nothing is preempted. */
    RESERVE
  }

  /** Whether computed prefixes are reused. */
  public enum PrefixCache {
    /** Blocks stay findable until they are given out again. */
    ON,
    /** Each sequence computes its whole prompt. */
    OFF
  }

  /** Checks the numbers. */
  public SchedulingOptions {
    if (longPromptTokens < 1) {
      throw new IllegalArgumentException("must be >= 1: longPromptTokens=" + longPromptTokens);
    }
    if (watermarkPermille < 0 || watermarkPermille > 1000) {
      throw new IllegalArgumentException(
          "must be 0 <= watermarkPermille <= 1000: watermarkPermille=" + watermarkPermille);
    }
  }
}
