package dev.fathom.program;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import org.jspecify.annotations.Nullable;

/** Records V4's attention into a program; see {@link CompressedOp} for the formulas. */
public final class CompressedBuilder {

  private final ProgramBuilder g;

  CompressedBuilder(ProgramBuilder g) {
    this.g = g;
  }

  /** Root-mean-square norm without a weight over the last axis. Returns the input's shape. */
  public Value unitNorm(Value input, double eps) {
    Expect.f32("unitNorm", input);
    Value result = g.newValue(ElementType.F32, input.shape());
    return g.add(new CompressedOp.UnitNorm(result, input, (float) eps), result);
  }

  /** Block-diagonal product of input [T, G, in] with weight [G * out, in]. Returns [T, G * out]. */
  public Value groupedLinear(Value input, WeightRef weight) {
    String op = "groupedLinear";
    Expect.f32(op, input);
    Expect.that(op, input.shape().dims().size() == 2, "an input [T, G, in]", input.shape());
    Expect.last(op, input, weight.cols());
    int groups = input.shape().dims().getFirst();
    Expect.that(op, weight.rows() % groups == 0, "rows in " + groups + " groups", weight);
    Value result = g.newValue(ElementType.F32, Shape.tokens(weight.rows()));
    return g.add(
        new CompressedOp.GroupedLinear(weight.linearName(), result, input, weight), result);
  }

  /** Pools complete windows of stored rows into entries; see {@link CompressedOp.CompressKv}. */
  public void compressKv(
      KvSpec.CompressorRows rows,
      KvSpec.Compressed entries,
      WeightRef ape,
      WeightRef norm,
      double eps,
      RopeSpec rope) {
    String op = "compressKv";
    Expect.that(op, g.isStored(rows), "a storeKv before it", rows);
    boolean fits = rows.channels() == entries.width() || rows.channels() == 2 * entries.width();
    Expect.that(op, fits, "rows of one or two times " + entries.width() + " channels", rows);
    Expect.matrix(op, ape, entries.ratio(), rows.channels());
    Expect.vector(op, norm, entries.width());
    Expect.that(op, rope.dim() <= entries.width(), "a rotation inside the entry", rope);
    g.add(new CompressedOp.CompressKv(rows, entries, ape, norm, (float) eps, rope));
  }

  /** Attention to a window and compressed entries; see {@link CompressedOp.WindowAttention}. */
  public Value windowAttention(
      Value query,
      KvSpec.SlidingWindow window,
      KvSpec.@Nullable Compressed compressed,
      @Nullable Value selection,
      WeightRef sinks,
      double scale) {
    String op = "windowAttention";
    Expect.f32(op, query);
    Expect.that(op, query.shape().dims().size() == 2, "a query [T, H, D]", query.shape());
    Expect.last(op, query, window.headDim());
    Expect.vector(op, sinks, query.shape().dims().getFirst());
    Expect.that(op, g.isStored(window), "a storeKv before it", window);
    if (compressed != null) {
      Expect.that(op, g.isStored(compressed), "a compressKv before it", compressed);
      Expect.that(
          op, compressed.width() == window.headDim(), "entries as wide as keys", compressed);
    }
    Value result = g.newValue(ElementType.F32, query.shape());
    return g.add(
        new CompressedOp.WindowAttention(
            result, query, window, compressed, selection, sinks, (float) scale),
        result);
  }

  /** Chooses experts by token id from table [V, K]. Returns [T, K] routing. */
  public Value hashRoute(
      Value input, Value tokens, WeightRef weight, WeightRef table, RouterSpec spec) {
    String op = "hashRoute";
    Expect.f32(op, input);
    Expect.matrix(op, weight, spec.numExperts(), input.shape().last());
    Expect.that(op, table.cols() == spec.topK(), spec.topK() + " columns", table);
    Value result = g.newValue(ElementType.ROUTING, Shape.tokens(spec.topK()));
    return g.add(new CompressedOp.HashRoute(result, input, tokens, weight, table, spec), result);
  }
}
