package dev.fathom.quant;

/** Whether the integers of a quantized group are centred. */
public enum ZeroPoints {
  /** One scale a group, zero is the middle code: {@code w = q · s}. */
  SYMMETRIC,
  /** A scale and an integer zero point a group: {@code w = (q - z) · s}. */
  ASYMMETRIC
}
