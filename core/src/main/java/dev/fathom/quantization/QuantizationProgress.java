package dev.fathom.quantization;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How far a quantization is.
 *
 * @param phase what is being done
 * @param done units done in this phase: tokens, groups of linears or bytes of the source
 * @param total units of this phase
 * @param elapsed since the phase began
 * @param eta estimated time until the phase ends, null before it can be estimated
 */
public record QuantizationProgress(
    Phase phase, long done, long total, Duration elapsed, @Nullable Duration eta) {

  /** What is being done. */
  public enum Phase {
    /** The model runs on the calibration texts; units are tokens. */
    CALIBRATE,
    /** Scales are searched; units are groups of linears. */
    SEARCH,
    /** Shards are written; units are bytes of the source's tensors. */
    WRITE,
    /** Everything is on disk. */
    DONE
  }

  /** Returns the part of the phase that is done, 0 to 1. */
  public double fraction() {
    return total == 0 ? 1 : (double) done / (double) total;
  }
}
