package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.RmsNorm;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.program.StreamOp;
import dev.fathom.program.Value;

/**
 * The weights by which streams are read and written: a product with the flattened streams, shared
 * out by rows, then the formulas of {@link StreamOp} token by token.
 */
final class MixingOperation implements Operation, ThreadTeam.Work {

  /** Turns the products of token t, from out[off] on, into weights. */
  @FunctionalInterface
  private interface Finish {
    void run(float[] out, int off);
  }

  private final Value streams;
  private final Matrix function;
  private final float eps;
  private final Finish finish;
  private final Step step;
  private final float[] in;
  private final float[] out;
  private final Vectors vectors;
  private final ThreadTeam.Work tokens = this::finish;

  private MixingOperation(
      Value streams, Value result, Matrix function, float eps, Finish finish, Step step) {
    this.streams = streams;
    this.function = function;
    this.eps = eps;
    this.finish = finish;
    this.step = step;
    this.in = step.data(streams);
    this.out = step.data(result);
    this.vectors = step.inputs(function.order(), in, function.cols());
  }

  static MixingOperation of(
      StreamOp.Mixing op, Matrix function, float[] base, float[] scale, Step step) {
    int n = op.streams().shape().dims().getFirst();
    Finish finish =
        (out, off) -> {
          for (int j = 0; j < n; j++) {
            out[off + j] = sigmoid(out[off + j] * scale[0] + base[j]) + op.hcEps();
            int w = off + n + j;
            out[w] = 2 * sigmoid(out[w] * scale[1] + base[n + j]);
          }
          for (int i = 2 * n; i < function.rows(); i++) {
            out[off + i] = out[off + i] * scale[2] + base[i];
          }
          sinkhorn(out, off + 2 * n, n, op.hcEps(), op.sinkhornIterations());
        };
    return new MixingOperation(op.streams(), op.result(), function, op.eps(), finish, step);
  }

  static MixingOperation ofHead(
      StreamOp.HeadMixing op, Matrix function, float[] base, float[] scale, Step step) {
    Finish finish =
        (out, off) -> {
          for (int j = 0; j < base.length; j++) {
            out[off + j] = sigmoid(out[off + j] * scale[0] + base[j]) + op.hcEps();
          }
        };
    return new MixingOperation(op.streams(), op.result(), function, op.eps(), finish, step);
  }

  @Override
  public void run() {
    int n = step.numTokens();
    step.arrange(function.order(), in, function.cols(), step.identity(), n);
    step.dispatch((long) n * function.rows() * function.cols(), this);
    step.dispatch((long) n * streams.shape().width(), tokens);
  }

  @Override
  public void run(int part, int numParts) {
    int from = Step.begin(function.rows(), part, numParts);
    int to = Step.begin(function.rows(), part + 1, numParts);
    int n = step.numTokens();
    function.multiply(from, to, vectors, 0, n, out, 0, function.rows(), step.lanes(part));
  }

  private void finish(int part, int numParts) {
    int rows = function.rows();
    int cols = function.cols();
    int end = Step.begin(step.numTokens(), part + 1, numParts);
    for (int t = Step.begin(step.numTokens(), part, numParts); t < end; t++) {
      float inverse = RmsNorm.inverse(in, t * cols, cols, eps);
      for (int i = t * rows; i < (t + 1) * rows; i++) {
        out[i] *= inverse;
      }
      finish.run(out, t * rows);
    }
  }

  private static float sigmoid(double x) {
    return (float) (1 / (1 + Math.exp(-x)));
  }

  /** Makes the n x n numbers at off doubly stochastic. */
  private static void sinkhorn(float[] mix, int off, int n, float eps, int iterations) {
    for (int j = 0; j < n; j++) {
      softmax(mix, off + j * n, n, eps);
    }
    divide(mix, off, n, 1, n, eps);
    for (int i = 1; i < iterations; i++) {
      divide(mix, off, n, n, 1, eps);
      divide(mix, off, n, 1, n, eps);
    }
  }

  /** Replaces scores[off, off + n) by their softmax plus eps. */
  private static void softmax(float[] scores, int off, int n, float eps) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = off; i < off + n; i++) {
      max = Math.max(max, scores[i]);
    }
    double sum = 0;
    for (int i = off; i < off + n; i++) {
      scores[i] = (float) Math.exp((double) scores[i] - max);
      sum += scores[i];
    }
    for (int i = off; i < off + n; i++) {
      scores[i] = (float) (scores[i] / sum) + eps;
    }
  }

  /** Divides each line by its sum plus eps; lines start lineStep apart, elements step apart. */
  private static void divide(float[] mix, int off, int n, int lineStep, int step, float eps) {
    for (int line = 0; line < n; line++) {
      int first = off + line * lineStep;
      double sum = eps;
      for (int i = 0; i < n; i++) {
        sum += mix[first + i * step];
      }
      for (int i = 0; i < n; i++) {
        mix[first + i * step] = (float) (mix[first + i * step] / sum);
      }
    }
  }
}
