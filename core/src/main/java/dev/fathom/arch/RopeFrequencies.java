package dev.fathom.arch;

import dev.fathom.checkpoint.RopeScaling;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;

/**
 * Inverse frequencies of rotary embeddings, in float32 rounded from float64.
 *
 * <p>Sources: RoFormer (arXiv 2104.09864) for the plain form; YaRN (arXiv 2309.00071), section 3,
 * for the scaled one.
 */
final class RopeFrequencies {

  private RopeFrequencies() {}

  /** Returns the rotary embedding of a configuration. */
  static RopeSpec spec(int dim, double base, RopeScaling scaling, RopeLayout layout) {
    return switch (scaling) {
      case RopeScaling.None _ -> new RopeSpec(plain(dim, base), 1, layout);
      case RopeScaling.Linear linear -> new RopeSpec(linear(dim, base, linear), 1, layout);
      case RopeScaling.Llama3 llama3 -> new RopeSpec(llama3(dim, base, llama3), 1, layout);
      case RopeScaling.Yarn yarn ->
          new RopeSpec(yarn(dim, base, yarn), (float) amplitude(yarn), layout);
    };
  }

  /** Returns the plain frequencies divided by the factor (arXiv 2306.15595). */
  static float[] linear(int dim, double base, RopeScaling.Linear linear) {
    float[] frequencies = new float[dim / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = (float) (Math.pow(base, -2.0 * i / dim) / linear.factor());
    }
    return frequencies;
  }

  /**
   * Returns frequencies by their wavelength, as Llama 3.1 trained them: short ones are kept, long
   * ones divided by the factor, those between blended.
   */
  static float[] llama3(int dim, double base, RopeScaling.Llama3 llama3) {
    double lowFactor = llama3.lowFreqFactor();
    double highFactor = llama3.highFreqFactor();
    float[] frequencies = new float[dim / 2];
    for (int i = 0; i < frequencies.length; i++) {
      double plain = Math.pow(base, -2.0 * i / dim);
      double turns = llama3.originalMaxPositions() * plain / (2 * Math.PI);
      double kept = Math.clamp((turns - lowFactor) / (highFactor - lowFactor), 0.0, 1.0);
      frequencies[i] = (float) ((1 - kept) * plain / llama3.factor() + kept * plain);
    }
    return frequencies;
  }

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

  /**
   * Returns the factor on sine and cosine: the given one, or that of mscale and mscale_all_dim, or
   * 0.1 ln(factor) + 1; times {@code attn_factor} where the file has it, which the published
   * R1-0528-Qwen3 means to cancel it and transformers ignores.
   */
  static double amplitude(RopeScaling.Yarn yarn) {
    Double factor = yarn.amplitudeFactor();
    return (factor == null ? 1 : factor) * unscaledAmplitude(yarn);
  }

  private static double unscaledAmplitude(RopeScaling.Yarn yarn) {
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
