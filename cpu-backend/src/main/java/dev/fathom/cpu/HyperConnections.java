package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Sum;
import dev.fathom.program.StreamOp;

/**
 * The operations of hyper-connections that treat each element by itself; see {@link StreamOp} for
 * the formulas. Streams are added in rising order.
 */
final class HyperConnections {

  private HyperConnections() {}

  static Operation repeat(StreamOp.Repeat op, Step step) {
    float[] in = step.data(op.input());
    float[] out = step.data(op.result());
    int width = op.input().shape().last();
    int streams = op.result().shape().dims().getFirst();
    return Elementwise.each(
        step,
        op.result(),
        width,
        (i, part) -> System.arraycopy(in, i / streams * width, out, i * width, width));
  }

  static Operation collapse(StreamOp.Collapse op, Step step) {
    float[] streams = step.data(op.streams());
    float[] mixing = step.data(op.mixing());
    float[] out = step.data(op.result());
    int n = op.streams().shape().dims().getFirst();
    int width = op.streams().shape().last();
    int weights = op.mixing().shape().last();
    return Elementwise.each(
        step,
        op.result(),
        n * width,
        (t, part) -> {
          int at = t * width;
          Sum.scale(mixing[t * weights], streams, t * n * width, out, at, width);
          for (int j = 1; j < n; j++) {
            Sum.addScaled(mixing[t * weights + j], streams, (t * n + j) * width, out, at, width);
          }
        });
  }

  static Operation expand(StreamOp.Expand op, Step step) {
    float[] streams = step.data(op.streams());
    float[] update = step.data(op.update());
    float[] mixing = step.data(op.mixing());
    float[] out = step.data(op.result());
    int n = op.streams().shape().dims().getFirst();
    int width = op.streams().shape().last();
    int weights = op.mixing().shape().last();
    return Elementwise.each(
        step,
        op.result(),
        (n + 1) * width,
        (i, part) -> {
          int t = i / n;
          int k = i % n;
          int write = t * weights + n;
          int mix = write + n + k;
          Sum.scale(mixing[write + k], update, t * width, out, i * width, width);
          for (int j = 0; j < n; j++) {
            Sum.addScaled(mixing[mix + j * n], streams, (t * n + j) * width, out, i * width, width);
          }
        });
  }
}
