package dev.fathom.arch;

import dev.fathom.checkpoint.RopeScaling;

/**
 * Inverse frequencies of rotary embeddings, in float32 rounded from float64.
 *
 * <p>Sources: RoFormer (arXiv 2104.09864) for the plain form; YaRN (arXiv 2309.00071), section 3,
 * for the scaled one.
 */
final class RopeFrequencies {

  private RopeFrequencies() {}

  /** Returns base^(-2i/dim) for i below dim/2. */
  static float[] plain(int dim, double base) {
    float[] frequencies = new float[dim / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = (float) Math.pow(base, -2.0 * i / dim);
    }
    return frequencies;
  }

  /**
   * Returns frequencies that are kept where a pair turns often within the trained context, divided
   * by the factor where it turns rarely, and blended between.
   */
  static float[] yarn(int dim, double base, RopeScaling.Yarn yarn) {
    double low = correctionDim(dim, base, yarn, yarn.betaFast());
    double high = correctionDim(dim, base, yarn, yarn.betaSlow());
    if (yarn.truncate()) {
      low = Math.floor(low);
      high = Math.ceil(high);
    }
    low = Math.max(low, 0);
    high = Math.min(high, dim - 1.0);
    double width = high > low ? high - low : 0.001;
    float[] frequencies = new float[dim / 2];
    for (int i = 0; i < frequencies.length; i++) {
      double plain = Math.pow(base, -2.0 * i / dim);
      double ramp = Math.clamp((i - low) / width, 0.0, 1.0);
      frequencies[i] = (float) (plain / yarn.factor() * ramp + plain * (1 - ramp));
    }
    return frequencies;
  }

  /** The index of the pair that makes this many rotations within the trained context. */
  private static double correctionDim(
      int dim, double base, RopeScaling.Yarn yarn, double rotations) {
    double wavelengths = yarn.originalMaxPositions() / (rotations * 2 * Math.PI);
    return dim * Math.log(wavelengths) / (2 * Math.log(base));
  }

  /** Returns the factor on sine and cosine. */
  static double amplitude(RopeScaling.Yarn yarn) {
    Double given = yarn.attentionFactor();
    if (given != null) {
      return given;
    }
    if (yarn.mscale() != 0 && yarn.mscaleAllDim() != 0) {
      return magnitude(yarn, yarn.mscale()) / magnitude(yarn, yarn.mscaleAllDim());
    }
    return magnitude(yarn, 1);
  }

  /** Returns the factor on the softmax scale of latent attention: magnitude(mscale_all_dim)^2. */
  static double softmaxCorrection(RopeScaling.Yarn yarn) {
    double m = yarn.mscaleAllDim() == 0 ? 1 : magnitude(yarn, yarn.mscaleAllDim());
    return m * m;
  }

  private static double magnitude(RopeScaling.Yarn yarn, double k) {
    return yarn.factor() <= 1 ? 1 : 0.1 * k * Math.log(yarn.factor()) + 1;
  }
}
