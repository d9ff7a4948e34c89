package dev.fathom.quantization;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** Turns steps of a phase into news for the listener. One thread. */
final class PhaseClock {

  private static final double ETA_FROM = 0.01;

  private final QuantizationListener listener;
  private QuantizationProgress.Phase phase = QuantizationProgress.Phase.CALIBRATE;
  private long start = System.nanoTime();
  private long done;
  private long total;

  PhaseClock(QuantizationListener listener) {
    this.listener = listener;
  }

  void begin(QuantizationProgress.Phase next, long units) {
    phase = next;
    start = System.nanoTime();
    done = 0;
    total(units);
  }

  void total(long units) {
    total = units;
    tell();
  }

  void advance(long units) {
    done += units;
    tell();
  }

  private void tell() {
    Duration elapsed = Duration.ofNanos(System.nanoTime() - start);
    double fraction = total == 0 ? 1 : (double) done / (double) total;
    Duration eta = null;
    if (fraction >= ETA_FROM) {
      eta = Duration.ofMillis((long) (elapsed.toMillis() * (1 - fraction) / fraction));
    }
    listener.onProgress(progress(elapsed, eta));
  }

  private QuantizationProgress progress(Duration elapsed, @Nullable Duration eta) {
    return new QuantizationProgress(phase, done, total, elapsed, eta);
  }
}
