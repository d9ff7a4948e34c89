package dev.fathom.backend;

/**
 * What multiplies the tokens of long prompts with weights.
 *
 * <p>Backends that have one way only ignore the mode. Results of different modes differ in their
 * last bits, and so do files of cached prompts.
 */
public enum PrefillMode {
  /** The backend's own kernels, with equal bits for any number of tokens and threads. */
  JAVA,
  /**
   * The oneDNN library for 16 tokens or more, on processors with AVX-512 and BF16: activations, and
   * weights of other formats than BF16, are rounded to bfloat16, sums are float32, and bits may
   * depend on how many tokens a step has. The program brings {@code org.bytedeco:dnnl} along;
   * loading fails where it is missing.
   */
  ONEDNN
}
