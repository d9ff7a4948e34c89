package dev.fathom;

import java.time.Duration;

/**
 * Whether a model serves requests, told by what its engine's thread did last.
 *
 * @param status up, stalled or down
 * @param reason why, in one clause, fit for a health page: no text of a prompt
 * @param sinceProgress since the thread last ended a step or waited for work; zero while it waits
 */
public record Health(Status status, String reason, Duration sinceProgress) {

  /** Whether requests can be served. */
  public enum Status {
    /** Requests are served, or would be. */
    UP,
    /**
     * Nothing has moved for 5 seconds, or for four times the slowest step so far where that is
     * longer. It may recover.
     */
    STALLED,
    /** The model was closed, is being closed, or its backend broke: it will not recover. */
    DOWN
  }

  /** Returns whether the status is {@link Status#UP}. */
  public boolean isUp() {
    return status == Status.UP;
  }
}
