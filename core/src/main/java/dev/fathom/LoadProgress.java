package dev.fathom;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How far loading is.
 *
 * @param phase what is being done
 * @param doneBytes weight bytes read so far
 * @param totalBytes weight bytes to read, 0 before they are known
 * @param elapsed since loading began
 * @param eta estimated time until all weights are read, null before it can be estimated
 */
public record LoadProgress(
    LoadPhase phase, long doneBytes, long totalBytes, Duration elapsed, @Nullable Duration eta) {

  /** Returns the part that is done, 0 to 1. */
  public double fraction() {
    return totalBytes == 0 ? 0 : (double) doneBytes / (double) totalBytes;
  }
}
