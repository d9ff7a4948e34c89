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
}
