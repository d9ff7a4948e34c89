package dev.fathom.arch;

/** What a weight is used for; quantized checkpoints store only linears packed. */
public enum WeightRole {
  /** A matrix of a linear layer, which quantizers may pack. */
  LINEAR,
  /** A matrix that stays unquantized: embedding, head, router. */
  DENSE,
  /** A vector: norm weight, bias. */
  VECTOR
}
