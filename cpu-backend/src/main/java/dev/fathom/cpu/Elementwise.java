package dev.fathom.cpu;

import dev.fathom.cpu.kernel.LayerNorm;
import dev.fathom.cpu.kernel.RmsNorm;
import dev.fathom.cpu.kernel.Sum;
import dev.fathom.cpu.kernel.SwiGlu;
import dev.fathom.program.CompressedOp;
import dev.fathom.program.Op;
import dev.fathom.program.Value;
import java.util.List;

/** Operations that treat each vector by itself; the team shares the vectors out. */
final class Elementwise {

  private Elementwise() {}

  /** Computes one vector, on the thread of this part. */
  @FunctionalInterface
  interface Body {
    void run(int vector, int part);
  }

  /** Returns an operation that runs a body for each vector of a value. */
  static Operation each(Step step, Value counted, int width, Body body) {
    ThreadTeam.Work work =
        (part, numParts) -> {
          int n = step.vectors(counted);
          int end = Step.begin(n, part + 1, numParts);
          for (int i = Step.begin(n, part, numParts); i < end; i++) {
            body.run(i, part);
          }
        };
    return () -> step.dispatch((long) step.vectors(counted) * width, work);
  }

  static Operation embed(Op.Embed op, CpuWeight weight, Step step) {
    float[] out = step.data(op.result());
    int width = weight.matrix().cols();
    return each(
        step, op.result(), width, (t, part) -> weight.rows().read(step.token(t), out, t * width));
  }

  static Operation rmsNorm(Op.RmsNorm op, float[] weight, Step step) {
    float[] in = step.data(op.input());
    float[] out = step.data(op.result());
    int len = weight.length;
    return each(
        step, op.input(), len, (i, part) -> RmsNorm.run(in, i * len, weight, op.eps(), out));
  }

  static Operation unitNorm(CompressedOp.UnitNorm op, Step step) {
    float[] in = step.data(op.input());
    float[] out = step.data(op.result());
    int len = op.input().shape().last();
    return each(
        step,
        op.input(),
        len,
        (i, part) -> {
          float inverse = RmsNorm.inverse(in, i * len, len, op.eps());
          Sum.scale(inverse, in, i * len, out, i * len, len);
        });
  }

  static Operation layerNorm(Op.LayerNorm op, float[] weight, float[] bias, Step step) {
    float[] in = step.data(op.input());
    float[] out = step.data(op.result());
    int len = weight.length;
    return each(
        step,
        op.input(),
        len,
        (i, part) -> LayerNorm.run(in, i * len, weight, bias, op.eps(), out));
  }

  static Operation slice(Op.Slice op, Step step) {
    float[] in = step.data(op.input());
    float[] out = step.data(op.result());
    int width = op.input().shape().last();
    int len = op.end() - op.begin();
    return each(
        step,
        op.input(),
        len,
        (i, part) -> System.arraycopy(in, i * width + op.begin(), out, i * len, len));
  }

  static Operation concat(Op.Concat op, Step step) {
    float[] out = step.data(op.result());
    int width = op.result().shape().last();
    List<Value> parts = op.parts();
    return each(
        step,
        op.result(),
        width,
        (i, part) -> {
          int first = i * width;
          for (Value value : parts) {
            int len = value.shape().last();
            System.arraycopy(step.data(value), i * len, out, first, len);
            first += len;
          }
        });
  }

  static Operation swiGlu(Op.SwiGlu op, Step step) {
    float[] gate = step.data(op.gate());
    float[] up = step.data(op.up());
    float[] out = step.data(op.result());
    int len = op.gate().shape().last();
    return each(
        step,
        op.gate(),
        len,
        (i, part) -> SwiGlu.run(gate, up, op.limit(), out, i * len, len, step.lanes(part)));
  }

  static Operation add(Op.Add op, Step step) {
    float[] a = step.data(op.a());
    float[] b = step.data(op.b());
    float[] out = step.data(op.result());
    int len = op.a().shape().last();
    return each(step, op.a(), len, (i, part) -> Sum.run(a, b, out, i * len, len));
  }

  static Operation rope(Op.Rope op, RopeTable table, Step step) {
    float[] in = step.data(op.input());
    float[] out = step.data(op.result());
    int len = op.input().shape().last();
    int perToken = op.input().shape().width() / len;
    return each(
        step,
        op.input(),
        len,
        (i, part) -> {
          System.arraycopy(in, i * len, out, i * len, len);
          table.turn(out, i * len + op.begin(), i / perToken);
        });
  }

  static Operation storeKv(Op.StoreKv op, PagedKv kv, Step step) {
    PagedKv.Layer layer = kv.layer(op.spec());
    List<Value> parts = op.parts();
    return each(
        step,
        parts.getFirst(),
        op.spec().elementsPerToken(),
        (t, part) -> {
          int first = 0;
          for (Value value : parts) {
            int width = value.shape().width();
            kv.write(step.batch(), t, layer, first, step.data(value), t * width, width);
            first += width;
          }
        });
  }
}
