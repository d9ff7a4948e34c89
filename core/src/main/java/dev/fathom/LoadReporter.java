package dev.fathom;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** Counts bytes and tells a listener of them, at most ten times a second. One thread. */
final class LoadReporter {

  private static final long INTERVAL_NANOS = 100_000_000;
  private static final double SMALLEST_FRACTION = 0.01;

  private final @Nullable LoadListener listener;
  private final long startNanos = System.nanoTime();
  private LoadPhase phase = LoadPhase.OPEN;
  private long readNanos;
  private long lastNanos;
  private long doneBytes;
  private long totalBytes;

  LoadReporter(@Nullable LoadListener listener) {
    this.listener = listener;
  }

  void total(long bytes) {
    totalBytes = bytes;
  }

  void phase(LoadPhase next) {
    phase = next;
    if (next == LoadPhase.READ) {
      readNanos = System.nanoTime();
    }
    tell(System.nanoTime());
  }

  void read(long bytes) {
    doneBytes = Math.min(totalBytes, doneBytes + bytes);
    long now = System.nanoTime();
    if (now - lastNanos >= INTERVAL_NANOS || doneBytes == totalBytes) {
      tell(now);
    }
  }

  private void tell(long now) {
    lastNanos = now;
    if (listener != null) {
      listener.onProgress(
          new LoadProgress(
              phase, doneBytes, totalBytes, Duration.ofNanos(now - startNanos), eta(now)));
    }
  }

  private @Nullable Duration eta(long now) {
    double fraction = totalBytes == 0 ? 0 : (double) doneBytes / (double) totalBytes;
    if (phase != LoadPhase.READ || fraction < SMALLEST_FRACTION) {
      return phase.compareTo(LoadPhase.READ) > 0 ? Duration.ZERO : null;
    }
    double left = (double) (now - readNanos) * (1 - fraction) / fraction;
    return Duration.ofNanos((long) left);
  }
}
