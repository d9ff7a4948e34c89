package dev.fathom.quantization;

/**
 * Hears how far a quantization is, on the thread that quantizes. What it throws ends the run, which
 * can be resumed.
 */
@FunctionalInterface
public interface QuantizationListener {

  /** Hears nothing. */
  QuantizationListener NONE = progress -> {};

  /** Takes the news. */
  void onProgress(QuantizationProgress progress);
}
