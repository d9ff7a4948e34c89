package dev.fathom.backend;

/**
 * Choices that a backend is created with.
 *
 * @param threads worker threads, or 0 for the backend's own choice
 * @param vectorBits bits of the vectors of a CPU backend (128, 256 or 512), or 0 for the widest
 *     that the machine has; other backends ignore it
 * @param activations how activations meet integer weights
 * @param prefill what multiplies the tokens of long prompts
 * @param placement whether weights may be copied that could be read where they lie
 */
public record BackendOptions(
    int threads,
    int vectorBits,
    ActivationMode activations,
    PrefillMode prefill,
    WeightPlacement placement) {

  /** The backend's own choices. */
  public static final BackendOptions DEFAULT = new BackendOptions(0, 0, ActivationMode.AUTO);

  /** Checks the numbers. */
  public BackendOptions {
    if (threads < 0) {
      throw new IllegalArgumentException("must be >= 0: threads=" + threads);
    }
    if (vectorBits != 0 && vectorBits != 128 && vectorBits != 256 && vectorBits != 512) {
      throw new IllegalArgumentException("must be 0, 128, 256 or 512: vectorBits=" + vectorBits);
    }
  }

  /** Options whose weights are packed and whose prompts the backend's own kernels multiply. */
  public BackendOptions(int threads, int vectorBits, ActivationMode activations) {
    this(threads, vectorBits, activations, PrefillMode.JAVA, WeightPlacement.PACKED);
  }

  /** Returns these options with another number of threads. */
  public BackendOptions withThreads(int number) {
    return new BackendOptions(number, vectorBits, activations, prefill, placement);
  }

  /** Returns these options with another way to multiply prompts. */
  public BackendOptions withPrefill(PrefillMode mode) {
    return new BackendOptions(threads, vectorBits, activations, mode, placement);
  }

  /** Returns these options with another placement of weights. */
  public BackendOptions withPlacement(WeightPlacement wanted) {
    return new BackendOptions(threads, vectorBits, activations, prefill, wanted);
  }
}
