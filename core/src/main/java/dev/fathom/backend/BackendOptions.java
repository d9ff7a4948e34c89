package dev.fathom.backend;

/**
 * Choices that a backend is created with.
 *
 * @param threads worker threads, or 0 for the backend's own choice
 * @param vectorBits bits of the vectors of a CPU backend (128, 256 or 512), or 0 for the widest
 *     that the machine has; other backends ignore it
 * @param activations how activations meet integer weights
 */
public record BackendOptions(int threads, int vectorBits, ActivationMode activations) {

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

  /** Returns these options with another number of threads. */
  public BackendOptions withThreads(int number) {
    return new BackendOptions(number, vectorBits, activations);
  }
}
