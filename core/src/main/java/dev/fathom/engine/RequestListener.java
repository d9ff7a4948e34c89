package dev.fathom.engine;

/**
 * Hears of a request, on the engine's thread: it must return at once and never call the engine back
 * and wait. What {@link #onToken} throws fails its request alone.
 */
public interface RequestListener {

  /** A token came, or text was released. */
  void onToken(TokenEvent event);

  /** The request ended. Called exactly once; nothing follows. */
  void onEnd(RequestOutcome outcome);

  /**
   * Returns whether it has room for another token. Asked before each step: while it has none, the
   * request sits out and keeps its blocks; {@link Engine.Ticket#resume} tells that it has again.
   */
  default boolean isReady() {
    return true;
  }

  /**
   * Returns whether nobody can read it any more, so that the request may be cancelled. Asked from
   * time to time while it is not ready.
   */
  default boolean isAbandoned() {
    return false;
  }
}
