package dev.fathom.backend.reference;

import dev.fathom.backend.Adapter;
import dev.fathom.quant.WeightMatrix;
import org.jspecify.annotations.Nullable;

/** Matrix products with stored weights. Each weight row is decoded once for all vectors. */
final class Projection {

  private Projection() {}

  /**
   * Computes out[n] = in[n] * weight^T + bias for n vectors.
   *
   * @param in [n, weight.cols()]
   * @param n vectors
   * @param weight [rows, cols]
   * @param bias one row of rows elements, or null
   * @param out [n, weight.rows()]
   * @param scratch row: at least cols elements
   */
  static void apply(
      float[] in,
      int n,
      WeightMatrix weight,
      @Nullable WeightMatrix bias,
      float[] out,
      Scratch scratch) {
    int rows = weight.rows();
    int cols = weight.cols();
    for (int r = 0; r < rows; r++) {
      weight.decodeRow(r, scratch.row, 0);
      float offset = bias == null ? 0 : bias.get(0, r);
      for (int i = 0; i < n; i++) {
        out[i * rows + r] = Dot.of(in, i * cols, scratch.row, 0, cols) + offset;
      }
    }
  }

  /** Computes one vector: out[outOff + r] = in[inOff..] * row r. */
  static void vector(
      float[] in, int inOff, WeightMatrix weight, float[] out, int outOff, float[] row) {
    for (int r = 0; r < weight.rows(); r++) {
      weight.decodeRow(r, row, 0);
      out[outOff + r] = Dot.of(in, inOff, row, 0, weight.cols());
    }
  }

  /** Adds scale * (in * A^T) * B^T of an adapter to the vector at outOff. */
  static void addDelta(
      Adapter.Delta delta, float[] in, int inOff, int cols, float[] out, int outOff, int rows) {
    float[] inner = new float[delta.rank()];
    for (int k = 0; k < inner.length; k++) {
      inner[k] = Dot.of(in, inOff, delta.a(), k * cols, cols);
    }
    for (int r = 0; r < rows; r++) {
      out[outOff + r] +=
          delta.scale() * Dot.of(inner, 0, delta.b(), r * inner.length, inner.length);
    }
  }
}
