package dev.fathom.quant;

/**
 * What an {@link AwqSearch} found: a factor for each input channel, by which the columns of the
 * weights are multiplied before they are quantized, while whatever produces the input (a norm's
 * weight, the rows of the linear before) is divided by it.
 *
 * <p>Immutable.
 */
public final class AwqScales {
  private final float exponent;
  private final float[] factors;
  private final double loss;
  private final double unscaledLoss;

  AwqScales(float exponent, float[] factors, double loss, double unscaledLoss) {
    this.exponent = exponent;
    this.factors = factors;
    this.loss = loss;
    this.unscaledLoss = unscaledLoss;
  }

  /** The exponent alpha in [0, 1]; 0 means that no scaling was best, and all factors are 1. */
  public float exponent() {
    return exponent;
  }

  /** A copy of the factors, one an input channel, all positive. */
  public float[] factors() {
    return factors.clone();
  }

  /** Squared error of the outputs over all samples and rows with these factors. */
  public double loss() {
    return loss;
  }

  /** The same without scaling (round to nearest); never below {@link #loss()}. */
  public double unscaledLoss() {
    return unscaledLoss;
  }

  /** The rows of a weight with each column multiplied by its factor: what to quantize. */
  public RowReader apply(RowReader weight) {
    return (r, out, off) -> {
      weight.read(r, out, off);
      for (int c = 0; c < factors.length; c++) {
        out[off + c] *= factors[c];
      }
    };
  }

  /**
   * Activations as the scaled weight meets them: each channel divided by its factor.
   *
   * @param samples [n, cols] row-major; not changed
   * @throws IllegalArgumentException if the samples are no whole rows
   */
  public float[] unscale(float[] samples) {
    Checks.multiple(factors.length, "samples.length", samples.length);
    float[] out = samples.clone();
    for (int i = 0; i < out.length; i++) {
      out[i] /= factors[i % factors.length];
    }
    return out;
  }
}
