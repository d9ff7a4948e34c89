package dev.fathom.kvcache;

/**
 * One block to copy, all layers of its group, before the step that writes to the destination.
 *
 * <p>The source must not be released before the copy is queued: released blocks may be given out
 * again.
 *
 * @param source block id to read
 * @param destination block id to write
 */
public record BlockCopy(int source, int destination) {
  /**
   * Checks the ids.
   *
   * @throws IllegalArgumentException if one is negative or both are the same
   */
  public BlockCopy {
    Checks.atLeast(0, "source", source);
    Checks.atLeast(0, "destination", destination);
    if (source == destination) {
      throw new IllegalArgumentException("must differ from source: destination=" + destination);
    }
  }
}
