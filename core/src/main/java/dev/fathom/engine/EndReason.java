package dev.fathom.engine;

/** Why a choice ended. */
public enum EndReason {
  /** An end token of the model came. */
  EOS,
  /** A stop string or stop token came. */
  STOP,
  /** An end token came after tool calls. */
  TOOL_CALLS,
  /** The wanted number of tokens came. */
  LENGTH,
  /** The context is full. */
  CONTEXT,
  /** The output repeats itself and the request asked to end then. */
  REPETITION,
  /** The request's time is up. */
  DEADLINE,
  /** The request was cancelled. */
  CANCELLED,
  /** The request failed. */
  ERROR
}
