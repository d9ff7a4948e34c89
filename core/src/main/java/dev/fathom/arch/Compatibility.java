package dev.fathom.arch;

/** Whose behaviour a model has where implementations are known to disagree. */
public enum Compatibility {
  /** What the published code and weights mean; the default. */
  PUBLISHED,
  /**
   * What transformers computes: {@code attn_factor} of R1-0528-Qwen3 is ignored, so that its YaRN
   * amplitude is 0.1 ln(factor) + 1 instead of 1.
   */
  TRANSFORMERS
}
