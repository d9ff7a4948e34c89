package dev.fathom.backend.reference;

import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;

/** Norms, activations and rotations of single vectors. */
final class Elementwise {

  private Elementwise() {}

  /** out = in / sqrt(mean(in^2) + eps) * weight over len elements. */
  static void rmsNorm(float[] in, int off, float[] weight, int len, float eps, float[] out) {
    float inverse = inverseRms(in, off, len, eps);
    for (int i = 0; i < len; i++) {
      out[off + i] = in[off + i] * inverse * weight[i];
    }
  }

  /** out = (in - mean) / sqrt(variance + eps) * weight + bias over len elements. */
  static void layerNorm(
      float[] in, int off, float[] weight, float[] bias, int len, float eps, float[] out) {
    double sum = 0;
    for (int i = 0; i < len; i++) {
      sum += in[off + i];
    }
    double mean = sum / len;
    double squares = 0;
    for (int i = 0; i < len; i++) {
      squares += (in[off + i] - mean) * (in[off + i] - mean);
    }
    double inverse = 1.0 / Math.sqrt(squares / len + eps);
    for (int i = 0; i < len; i++) {
      out[off + i] = (float) ((in[off + i] - mean) * inverse) * weight[i] + bias[i];
    }
  }

  /** Returns g * sigmoid(g) * u with g = min(x, limit) and u = clamp(up, -limit, limit). */
  static float swiGlu(float x, float up, float limit) {
    float g = Math.min(x, limit);
    float u = Math.max(-limit, Math.min(limit, up));
    return (float) (g / (1.0 + Math.exp(-g))) * u;
  }

  /** Returns 1 / (1 + e^-x). */
  static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  /** out = in / sqrt(mean(in^2) + eps) over len elements. */
  static void unitNorm(float[] in, int off, int len, float eps, float[] out) {
    float inverse = inverseRms(in, off, len, eps);
    for (int i = 0; i < len; i++) {
      out[off + i] = in[off + i] * inverse;
    }
  }

  /** Returns 1 / sqrt(mean(in^2) + eps) over len elements. */
  static float inverseRms(float[] in, int off, int len, float eps) {
    double squares = 0;
    for (int i = 0; i < len; i++) {
      squares += (double) in[off + i] * in[off + i];
    }
    return (float) (1.0 / Math.sqrt(squares / len + eps));
  }

  /** Turns vector[off, off + rope.dim()) by the angles of a position, in place. */
  static void rope(float[] vector, int off, RopeSpec rope, int position) {
    int half = rope.dim() / 2;
    boolean interleaved = rope.layout() == RopeLayout.INTERLEAVED;
    for (int i = 0; i < half; i++) {
      float angle = (float) position * rope.inverseFrequency(i);
      float cos = (float) Math.cos(angle) * rope.amplitude();
      float sin = (float) Math.sin(angle) * rope.amplitude();
      int a = off + (interleaved ? 2 * i : i);
      int b = off + (interleaved ? 2 * i + 1 : i + half);
      float x = vector[a];
      float y = vector[b];
      vector[a] = x * cos - y * sin;
      vector[b] = x * sin + y * cos;
    }
  }

  /** Replaces scores[0, len) by their softmax: float64 sum, float32 results. */
  static void softmax(float[] scores, int len) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < len; i++) {
      max = Math.max(max, scores[i]);
    }
    double sum = 0;
    for (int i = 0; i < len; i++) {
      scores[i] = (float) Math.exp(scores[i] - max);
      sum += scores[i];
    }
    for (int i = 0; i < len; i++) {
      scores[i] = (float) (scores[i] / sum);
    }
  }
}
