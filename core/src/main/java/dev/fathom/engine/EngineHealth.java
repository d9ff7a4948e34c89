package dev.fathom.engine;

import java.time.Duration;

/**
 * How an engine does, told by what its thread did last and not by a flag that it set when all was
 * well.
 *
 * @param status up, stalled or down
 * @param reason why, in one clause
 * @param sinceProgress since the thread last ended a step or waited for work; zero while it waits
 */
public record EngineHealth(Status status, String reason, Duration sinceProgress) {

  /** Whether requests can be served. */
  public enum Status {
    /** Requests are served, or would be. */
    UP,
    /** The thread has been in a step, or in a listener, for too long. */
    STALLED,
    /** No request is taken any more. */
    DOWN
  }
}
