package dev.fathom.checkpoint;

/**
 * Hears how many bytes were read. Called on the reading thread, often: it must be fast and safe for
 * several threads.
 */
@FunctionalInterface
public interface ReadProgress {
  /** Hears nothing. */
  ReadProgress NONE = bytes -> {};

  /**
   * Some more bytes were read.
   *
   * @param bytes since the last call, above 0
   */
  void onBytes(long bytes);
}
