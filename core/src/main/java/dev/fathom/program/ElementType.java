package dev.fathom.program;

/** What the elements of a value are. */
public enum ElementType {
  /** IEEE 754 binary32. */
  F32,
  /** Signed 32-bit integers: token ids. */
  I32,
  /** Pairs of expert id (int32) and weight (float32), the outcome of a router. */
  ROUTING
}
