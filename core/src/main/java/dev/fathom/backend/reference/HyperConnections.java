package dev.fathom.backend.reference;

import dev.fathom.program.StreamOp;
import dev.fathom.quant.WeightMatrix;

/** Manifold-constrained hyper-connections of one token; see {@link StreamOp} for the formulas. */
final class HyperConnections {

  private HyperConnections() {}

  static void repeat(StreamOp.Repeat op, float[] in, float[] out, int t) {
    int width = op.input().shape().last();
    int streams = op.result().shape().dims().getFirst();
    for (int k = 0; k < streams; k++) {
      System.arraycopy(in, t * width, out, (t * streams + k) * width, width);
    }
  }

  static void mixing(
      StreamOp.Mixing op,
      WeightMatrix function,
      float[] base,
      float[] scale,
      float[] in,
      float[] out,
      int t,
      float[] row) {
    int n = op.streams().shape().dims().getFirst();
    int width = function.rows();
    int off = t * width;
    project(function, op.eps(), in, t, out, off, row);
    for (int j = 0; j < n; j++) {
      out[off + j] = (float) Elementwise.sigmoid(out[off + j] * scale[0] + base[j]) + op.hcEps();
      int w = off + n + j;
      out[w] = 2 * (float) Elementwise.sigmoid(out[w] * scale[1] + base[n + j]);
    }
    for (int i = 2 * n; i < width; i++) {
      out[off + i] = out[off + i] * scale[2] + base[i];
    }
    sinkhorn(out, off + 2 * n, n, op.hcEps(), op.sinkhornIterations());
  }

  static void headMixing(
      StreamOp.HeadMixing op,
      WeightMatrix function,
      float[] base,
      float[] scale,
      float[] in,
      float[] out,
      int t,
      float[] row) {
    int n = function.rows();
    project(function, op.eps(), in, t, out, t * n, row);
    for (int j = 0; j < n; j++) {
      int at = t * n + j;
      out[at] = (float) Elementwise.sigmoid(out[at] * scale[0] + base[j]) + op.hcEps();
    }
  }

  private static void project(
      WeightMatrix function, float eps, float[] in, int t, float[] out, int off, float[] row) {
    int cols = function.cols();
    float inverse = Elementwise.inverseRms(in, t * cols, cols, eps);
    Projection.vector(in, t * cols, function, out, off, row);
    for (int i = 0; i < function.rows(); i++) {
      out[off + i] *= inverse;
    }
  }

  /** Makes the n x n numbers at off doubly stochastic. */
  static void sinkhorn(float[] mix, int off, int n, float eps, int iterations) {
    float[] line = new float[n];
    for (int j = 0; j < n; j++) {
      System.arraycopy(mix, off + j * n, line, 0, n);
      Elementwise.softmax(line, n);
      for (int k = 0; k < n; k++) {
        mix[off + j * n + k] = line[k] + eps;
      }
    }
    divide(mix, off, n, 1, n, eps);
    for (int i = 1; i < iterations; i++) {
      divide(mix, off, n, n, 1, eps);
      divide(mix, off, n, 1, n, eps);
    }
  }

  /** Divides each line by its sum plus eps; lines start lineStep apart, elements step apart. */
  private static void divide(float[] mix, int off, int n, int lineStep, int step, float eps) {
    for (int line = 0; line < n; line++) {
      double sum = eps;
      for (int i = 0; i < n; i++) {
        sum += mix[off + line * lineStep + i * step];
      }
      for (int i = 0; i < n; i++) {
        int at = off + line * lineStep + i * step;
        mix[at] = (float) (mix[at] / sum);
      }
    }
  }

  static void collapse(StreamOp.Collapse op, float[] streams, float[] mixing, float[] out, int t) {
    int n = op.streams().shape().dims().getFirst();
    int width = op.streams().shape().last();
    int weights = t * op.mixing().shape().last();
    for (int c = 0; c < width; c++) {
      double sum = 0;
      for (int j = 0; j < n; j++) {
        sum += (double) mixing[weights + j] * streams[(t * n + j) * width + c];
      }
      out[t * width + c] = (float) sum;
    }
  }

  static void expand(
      StreamOp.Expand op, float[] streams, float[] update, float[] mixing, float[] out, int t) {
    int n = op.streams().shape().dims().getFirst();
    int width = op.streams().shape().last();
    int write = t * op.mixing().shape().last() + n;
    int mix = write + n;
    for (int k = 0; k < n; k++) {
      for (int c = 0; c < width; c++) {
        double sum = (double) mixing[write + k] * update[t * width + c];
        for (int j = 0; j < n; j++) {
          sum += (double) mixing[mix + j * n + k] * streams[(t * n + j) * width + c];
        }
        out[(t * n + k) * width + c] = (float) sum;
      }
    }
  }
}
