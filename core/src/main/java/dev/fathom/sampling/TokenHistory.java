package dev.fathom.sampling;

/** The tokens of a choice so far, prompt first. Read by the engine's thread during a call. */
public interface TokenHistory {

  /** Returns the number of tokens, prompt included. */
  int length();

  /** Returns the number of tokens of the prompt. */
  int promptLength();

  /** Returns the token at a position, 0 to {@link #length} - 1. */
  int token(int position);
}
