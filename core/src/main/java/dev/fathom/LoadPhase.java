package dev.fathom;

/** The phases of loading, in their order. */
public enum LoadPhase {
  /** Headers, configuration and tokenizer are read and checked; memory is planned. */
  OPEN,
  /** Weights are read and placed; bytes are counted. */
  READ,
  /** The program is compiled; caches are allocated. */
  COMPILE,
  /** The model can be used. */
  READY
}
