package dev.fathom.backend;

/**
 * What a backend may do to activations before they meet integer weights.
 *
 * <p>Rounding them to bytes makes products exact integers and faster, and costs accuracy; it is
 * never done for weights of other formats. Backends without integer products ignore the mode.
 */
public enum ActivationMode {
  /** Integer activations for INT8 and INT4 weights where the backend has them. */
  AUTO,
  /** Float32 activations everywhere: the exact products of the dequantized weights. */
  FLOAT,
  /** Integer activations for INT8 and INT4 weights. */
  INTEGER
}
