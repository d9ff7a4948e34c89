package dev.fathom;

/** Which part of an answer a piece of text belongs to. */
public enum TokenKind {
  /** The reasoning before the answer. */
  REASONING,
  /** The answer. */
  CONTENT,
  /** The tool-call part, where text of a call is held until the call is complete. */
  TOOL_CALL
}
