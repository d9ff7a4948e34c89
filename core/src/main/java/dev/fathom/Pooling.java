package dev.fathom;

/** How the hidden states of a text's tokens become one vector. */
public enum Pooling {
  /** The state of the last token, which has seen all others. */
  LAST_TOKEN,
  /** The mean of the states of all tokens, the beginning-of-sentence token included. */
  MEAN
}
