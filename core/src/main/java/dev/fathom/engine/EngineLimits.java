package dev.fathom.engine;

import dev.fathom.spill.SpillOptions;
import java.time.Duration;

/**
 * What an engine takes on and how long it may be silent; unlike {@link EngineOptions} no matter of
 * the executable.
 *
 * @param maxQueuedTokens most prompt tokens of the requests that wait; a single request is taken
 *     into an empty queue whatever its length
 * @param stallAfter how long a step, or anything else on the engine's thread, may take before the
 *     engine counts as stalled; four times the slowest step so far if that is longer
 * @param adapters how many adapters may be loaded
 * @param spill where blocks go that the pool gives out again
 */
public record EngineLimits(
    long maxQueuedTokens, Duration stallAfter, AdapterLimits adapters, SpillOptions spill) {

  /** No limit of tokens, stalled after 5 seconds, no adapters. */
  public static final EngineLimits DEFAULT =
      new EngineLimits(Long.MAX_VALUE, Duration.ofSeconds(5), AdapterLimits.NONE);

  /** Limits without a second tier. */
  public EngineLimits(long maxQueuedTokens, Duration stallAfter, AdapterLimits adapters) {
    this(maxQueuedTokens, stallAfter, adapters, SpillOptions.NONE);
  }

  /** Checks the ranges. */
  public EngineLimits {
    if (maxQueuedTokens < 1) {
      throw new IllegalArgumentException("must be >= 1: maxQueuedTokens=" + maxQueuedTokens);
    }
    if (!stallAfter.isPositive()) {
      throw new IllegalArgumentException("must be > 0: stallAfter=" + stallAfter);
    }
  }

  /** Returns the same limits with this one of waiting tokens. */
  public EngineLimits maxQueuedTokens(long others) {
    return new EngineLimits(others, stallAfter, adapters, spill);
  }

  /** Returns the same limits with these of adapters. */
  public EngineLimits adapters(AdapterLimits others) {
    return new EngineLimits(maxQueuedTokens, stallAfter, others, spill);
  }

  /** Returns the same limits with this second tier. */
  public EngineLimits spill(SpillOptions other) {
    return new EngineLimits(maxQueuedTokens, stallAfter, adapters, other);
  }
}
