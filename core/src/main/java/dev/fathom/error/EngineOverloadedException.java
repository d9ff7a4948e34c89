package dev.fathom.error;

import java.time.Duration;

/**
 * A request was refused because too many wait already. Nothing of it was kept; it may be sent again
 * after {@link #retryAfter}.
 */
public final class EngineOverloadedException extends FathomException {

  private static final long serialVersionUID = 1L;

  private final Duration retryAfter;
  private final int queueDepth;

  /**
   * Creates the error.
   *
   * @param retryAfter when a place is likely to be free
   * @param queueDepth requests that wait
   */
  public EngineOverloadedException(
      String what, String why, String fix, Duration retryAfter, int queueDepth) {
    super(ErrorCode.ENGINE_OVERLOADED, what, why, fix, null);
    this.retryAfter = retryAfter;
    this.queueDepth = queueDepth;
  }

  /** Returns when a place is likely to be free, from how fast requests ended lately. */
  public Duration retryAfter() {
    return retryAfter;
  }

  /** Returns how many requests wait. */
  public int queueDepth() {
    return queueDepth;
  }
}
