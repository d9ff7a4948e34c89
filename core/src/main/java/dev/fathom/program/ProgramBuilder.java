package dev.fathom.program;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Records one step of a model. Shapes are inferred and checked as operations are added; a mistake
 * throws {@link IllegalArgumentException} of the form {@code linear: expected input [.., 256], got
 * [T, 128]}. Nothing runs. Not thread-safe; used once.
 */
public final class ProgramBuilder {

  private final String name;
  private final List<Op> ops = new ArrayList<>();
  private final List<Value> values = new ArrayList<>();
  private final Map<String, Value> inputs = new LinkedHashMap<>();
  private final Map<String, Value> outputs = new LinkedHashMap<>();

  /** Starts an empty program. */
  public ProgramBuilder(String name) {
    this.name = name;
  }

  /** Declares the token ids of the step: [T] i32. */
  public Value tokens() {
    return input(Program.TOKENS, ElementType.I32, Shape.tokens());
  }

  /** Declares a named float32 input with one vector a token: [T, width]. */
  public Value hidden(String inputName, int width) {
    return input(inputName, ElementType.F32, Shape.tokens(width));
  }

  private Value input(String inputName, ElementType type, Shape shape) {
    if (inputs.containsKey(inputName)) {
      throw new IllegalArgumentException("input: expected a new name, got " + inputName + " twice");
    }
    Value value = newValue(type, shape);
    inputs.put(inputName, value);
    return value;
  }

  /** Looks tokens up in weight [V, C]. Returns [T, C]. */
  public Value embed(Value tokens, WeightRef weight) {
    Expect.that("embed", tokens.type() == ElementType.I32, "tokens of type I32", tokens.type());
    Expect.matrix("embed", weight);
    Value result = newValue(ElementType.F32, Shape.tokens(weight.cols()));
    return add(new Op.Embed(result, tokens, weight), result);
  }

  /** Root-mean-square norm over the last axis with weight [C]. Returns the input's shape. */
  public Value rmsNorm(Value input, WeightRef weight, double eps) {
    Expect.f32("rmsNorm", input);
    Expect.that("rmsNorm", weight.isVector(), "a weight vector", weight);
    Expect.last("rmsNorm", input, weight.cols());
    Expect.that("rmsNorm", eps > 0 && eps < 1, "eps in (0, 1)", eps);
    Value result = newValue(ElementType.F32, input.shape());
    return add(new Op.RmsNorm(result, input, weight, (float) eps), result);
  }

  /** Matrix product with weight [out, in]. Returns [.., out]. */
  public Value linear(Value input, WeightRef weight) {
    return linear(input, weight, null);
  }

  /** Matrix product with weight [out, in] plus bias [out] unless it is null. Returns [.., out]. */
  public Value linear(Value input, WeightRef weight, @Nullable WeightRef bias) {
    Expect.f32("linear", input);
    Expect.matrix("linear", weight);
    Expect.axis("linear", input, String.valueOf(weight.cols()));
    Expect.last("linear", input, weight.cols());
    if (bias != null) {
      Expect.vector("linear", bias, weight.rows());
    }
    Value result = newValue(ElementType.F32, input.shape().withLast(weight.rows()));
    return add(new Op.Linear(weight.linearName(), result, input, weight, bias), result);
  }

  /** Part [begin, end) of the last axis. Returns [.., end - begin]. */
  public Value slice(Value input, int begin, int end) {
    Expect.f32("slice", input);
    Expect.axis("slice", input, "C");
    boolean fits = begin >= 0 && begin < end && end <= input.shape().last();
    Expect.that("slice", fits, "0 <= begin < end <= " + input.shape().last(), begin + ".." + end);
    Value result = newValue(ElementType.F32, input.shape().withLast(end - begin));
    return add(new Op.Slice(result, input, begin, end), result);
  }

  /** The parts one behind the other on the last axis. Returns [.., the sum of their widths]. */
  public Value concat(Value... parts) {
    Expect.that("concat", parts.length > 0, "at least one part", parts.length);
    Shape first = parts[0].shape();
    int width = 0;
    for (Value part : parts) {
      Expect.f32("concat", part);
      Expect.axis("concat", part, "C");
      boolean fits = part.shape().withLast(first.last()).equals(first);
      Expect.that("concat", fits, first + " but for its last axis", part.shape());
      width = Math.addExact(width, part.shape().last());
    }
    Value result = newValue(ElementType.F32, first.withLast(width));
    return add(new Op.Concat(result, List.of(parts)), result);
  }

  /** The same elements as [T, dims..]. */
  public Value reshape(Value input, int... dims) {
    Expect.f32("reshape", input);
    List<Integer> list = new ArrayList<>();
    for (int dim : dims) {
      list.add(dim);
    }
    Shape shape = new Shape(input.shape().lead(), list);
    Expect.that(
        "reshape",
        shape.width() == input.shape().width(),
        input.shape().width() + " elements a token",
        shape);
    Value result = newValue(ElementType.F32, shape);
    return add(new Op.Reshape(result, input), result);
  }

  /** Rotary embedding on elements [begin, begin + rope.dim()) of the last axis. */
  public Value rope(Value input, RopeSpec rope, int begin) {
    Expect.f32("rope", input);
    Expect.that("rope", input.shape().lead() == Lead.TOKENS, "one vector a token", input.shape());
    boolean fits = begin >= 0 && begin + rope.dim() <= input.shape().last();
    Expect.that(
        "rope",
        fits,
        "elements " + begin + ".." + (begin + rope.dim()) + " inside the last axis",
        input.shape());
    Value result = newValue(ElementType.F32, input.shape());
    return add(new Op.Rope(result, input, rope, begin), result);
  }

  /** Writes parts, one after the other, into the cache of spec at each token's position. */
  public void storeKv(KvSpec spec, Value... parts) {
    int width = 0;
    for (Value part : parts) {
      requireOurs("storeKv", part);
      Expect.f32("storeKv", part);
      Expect.that(
          "storeKv", part.shape().lead() == Lead.TOKENS, "one vector a token", part.shape());
      width += part.shape().width();
    }
    Expect.that(
        "storeKv",
        width == spec.elementsPerToken(),
        spec.elementsPerToken() + " elements a token for " + spec,
        width);
    ops.add(new Op.StoreKv(spec, List.of(parts)));
  }

  /**
   * Multi-head latent attention. See {@link Op.LatentAttention}.
   *
   * @param query [T, H, nope + rope]
   * @param kvB [H * (nope + v), L]
   * @param cache stored before by {@link #storeKv}
   * @param qkNopeHeadDim nope
   * @param scale factor on the scores
   * @return [T, H, v]
   */
  public Value latentAttention(
      Value query, WeightRef kvB, KvSpec.Latent cache, int qkNopeHeadDim, double scale) {
    return latentAttention(query, kvB, cache, qkNopeHeadDim, scale, null);
  }

  /**
   * Multi-head latent attention to the positions of a selection [T, k], or to all if it is null.
   */
  public Value latentAttention(
      Value query,
      WeightRef kvB,
      KvSpec.Latent cache,
      int qkNopeHeadDim,
      double scale,
      @Nullable Value selection) {
    String op = "latentAttention";
    Expect.f32(op, query);
    Expect.that(op, query.shape().dims().size() == 2, "a query [T, H, D]", query.shape());
    Expect.last(op, query, qkNopeHeadDim + cache.qkRopeHeadDim());
    Expect.matrix(op, kvB);
    Expect.that(
        op, kvB.cols() == cache.kvLoraRank(), "kv_b of " + cache.kvLoraRank() + " columns", kvB);
    int heads = query.shape().dims().getFirst();
    int vHeadDim = kvB.rows() / heads - qkNopeHeadDim;
    boolean splits = kvB.rows() % heads == 0 && vHeadDim > 0;
    Expect.that(op, splits, "kv_b rows = " + heads + " x (" + qkNopeHeadDim + " + v)", kvB);
    Expect.that(op, isStored(cache), "a storeKv before it", cache);
    if (selection != null) {
      Expect.that(
          op, selection.type() == ElementType.I32, "a selection of type I32", selection.type());
      Expect.that(
          op, selection.shape().dims().size() == 1, "a selection [T, k]", selection.shape());
    }
    Value result = newValue(ElementType.F32, Shape.tokens(heads, vHeadDim));
    return add(
        new Op.LatentAttention(result, query, kvB, cache, qkNopeHeadDim, (float) scale, selection),
        result);
  }

  /**
   * Grouped-query attention. See {@link Op.Attention}.
   *
   * @param query [T, H, D], H a multiple of the cache's heads
   * @param cache stored before by {@link #storeKv}: keys, then values
   * @param scale factor on the scores
   * @return [T, H, D]
   */
  public Value attention(Value query, KvSpec.Full cache, double scale) {
    String op = "attention";
    Expect.f32(op, query);
    Expect.that(op, query.shape().dims().size() == 2, "a query [T, H, D]", query.shape());
    Expect.last(op, query, cache.headDim());
    int heads = query.shape().dims().getFirst();
    Expect.that(
        op,
        heads % cache.numKvHeads() == 0,
        "a multiple of " + cache.numKvHeads() + " heads",
        query.shape());
    Expect.that(op, isStored(cache), "a storeKv before it", cache);
    Value result = newValue(ElementType.F32, query.shape());
    return add(new Op.Attention(result, query, cache, (float) scale), result);
  }

  boolean isStored(KvSpec cache) {
    return ops.stream().anyMatch(o -> cache.equals(Program.storedBy(o)));
  }

  /**
   * Scores earlier positions and keeps the best k. See {@link Op.TopKIndex}.
   *
   * @param query [T, H, D]
   * @param headWeights [T, H]
   * @param cache stored before by {@link #storeKv}
   * @param scale factor on the scores, positive
   * @param k positions kept
   * @return [T, k] i32
   */
  public Value topKIndex(Value query, Value headWeights, KvSpec cache, double scale, int k) {
    String op = "topKIndex";
    Expect.f32(op, query);
    Expect.f32(op, headWeights);
    Expect.that(op, query.shape().dims().size() == 2, "a query [T, H, D]", query.shape());
    Expect.last(op, query, cache.elementsPerToken());
    Expect.last(op, headWeights, query.shape().dims().getFirst());
    Expect.that(op, isStored(cache), "a storeKv before it", cache);
    Expect.that(op, scale > 0, "a positive scale", scale);
    Value result = newValue(ElementType.I32, Shape.tokens(k));
    return add(new Op.TopKIndex(result, query, headWeights, cache, (float) scale), result);
  }

  /** Layer norm over the last axis with weight and bias [C]. Returns the input's shape. */
  public Value layerNorm(Value input, WeightRef weight, WeightRef bias, double eps) {
    Expect.f32("layerNorm", input);
    Expect.vector("layerNorm", weight, input.shape().last());
    Expect.vector("layerNorm", bias, input.shape().last());
    Expect.that("layerNorm", eps > 0 && eps < 1, "eps in (0, 1)", eps);
    Value result = newValue(ElementType.F32, input.shape());
    return add(new Op.LayerNorm(result, input, weight, bias, (float) eps), result);
  }

  /** Chooses experts for each token with weight [E, C]. Returns [T, K] routing. */
  public Value route(Value input, WeightRef weight, @Nullable WeightRef bias, RouterSpec spec) {
    Expect.f32("route", input);
    Expect.matrix("route", weight);
    Expect.last("route", input, weight.cols());
    Expect.that(
        "route", weight.rows() == spec.numExperts(), spec.numExperts() + " experts", weight);
    if (bias != null) {
      Expect.that("route", spec.usesBias(), "no bias for " + spec, bias);
      Expect.vector("route", bias, spec.numExperts());
    }
    Value result = newValue(ElementType.ROUTING, Shape.tokens(spec.topK()));
    return add(new Op.Route(result, input, weight, bias, spec), result);
  }

  /** Runs the chosen experts. Returns the input's shape. */
  public Value moe(Value input, Value routing, List<Expert> experts) {
    return moe(input, routing, experts, Double.POSITIVE_INFINITY);
  }

  /** Runs the chosen experts with clamped activations. Returns the input's shape. */
  public Value moe(Value input, Value routing, List<Expert> experts, double limit) {
    Expect.that("moe", limit > 0, "a positive limit", limit);
    Expect.f32("moe", input);
    Expect.that("moe", routing.type() == ElementType.ROUTING, "a routing", routing.type());
    Expect.that("moe", !experts.isEmpty(), "at least one expert", 0);
    int numExperts = numExperts(routing);
    Expect.that("moe", experts.size() == numExperts, numExperts + " experts", experts.size());
    int hidden = input.shape().last();
    int intermediate = experts.getFirst().gate().rows();
    for (Expert expert : experts) {
      Expect.matrix("moe", expert.gate(), intermediate, hidden);
      Expect.matrix("moe", expert.up(), intermediate, hidden);
      Expect.matrix("moe", expert.down(), hidden, intermediate);
    }
    Value result = newValue(ElementType.F32, input.shape());
    return add(new Op.Moe(result, input, routing, experts, (float) limit), result);
  }

  /** Returns how many experts the operation that made a routing chooses from. */
  private int numExperts(Value routing) {
    requireOurs("moe", routing);
    for (Op op : ops) {
      if (op instanceof Op.Route route && route.result().equals(routing)) {
        return route.spec().numExperts();
      }
      if (op instanceof CompressedOp.HashRoute route && route.result().equals(routing)) {
        return route.spec().numExperts();
      }
    }
    throw new IllegalArgumentException("moe: expected the result of a route, got " + routing);
  }

  /** silu(gate) * up. Returns their shape. */
  public Value swiGlu(Value gate, Value up) {
    return swiGlu(gate, up, Double.POSITIVE_INFINITY);
  }

  /** silu(min(gate, limit)) * clamp(up, -limit, limit). Returns their shape. */
  public Value swiGlu(Value gate, Value up, double limit) {
    Expect.that("swiGlu", limit > 0, "a positive limit", limit);
    Expect.f32("swiGlu", gate);
    Expect.same("swiGlu", gate, up);
    Value result = newValue(ElementType.F32, gate.shape());
    return add(new Op.SwiGlu(result, gate, up, (float) limit), result);
  }

  /** a + b. Returns their shape. */
  public Value add(Value a, Value b) {
    Expect.f32("add", a);
    Expect.same("add", a, b);
    Value result = newValue(ElementType.F32, a.shape());
    return add(new Op.Add(result, a, b), result);
  }

  /** The wanted rows of input [T, C] times weight [V, C]. Returns [R, V]. */
  public Value logits(Value input, WeightRef weight) {
    Expect.f32("logits", input);
    Expect.matrix("logits", weight);
    Expect.that("logits", input.shape().lead() == Lead.TOKENS, "one vector a token", input.shape());
    Expect.last("logits", input, weight.cols());
    Value result = newValue(ElementType.F32, Shape.rows(weight.rows()));
    return add(new Op.Logits(weight.linearName(), result, input, weight), result);
  }

  /** Returns the builder of hyper-connections, which records into this program. */
  public StreamBuilder streams() {
    return new StreamBuilder(this);
  }

  /** Returns the builder of compressed attention, which records into this program. */
  public CompressedBuilder compressed() {
    return new CompressedBuilder(this);
  }

  /** Records an operation that only writes a cache. */
  void add(Op op) {
    ops.add(op);
  }

  /** Names a value so that a caller can ask for it. */
  public void output(String outputName, Value value) {
    requireOurs("output", value);
    if (outputs.putIfAbsent(outputName, value) != null) {
      throw new IllegalArgumentException(
          "output: expected a new name, got " + outputName + " twice");
    }
  }

  /** Returns the program. */
  public Program build() {
    if (outputs.isEmpty()) {
      throw new IllegalArgumentException("program: expected at least one output, got 0");
    }
    return new Program(name, ops, values, inputs, outputs);
  }

  Value newValue(ElementType type, Shape shape) {
    Value value = new Value(values.size(), type, shape);
    values.add(value);
    return value;
  }

  Value add(Op op, Value result) {
    op.operands().forEach(operand -> requireOurs(op.kind(), operand));
    ops.add(op);
    return result;
  }

  private void requireOurs(String op, Value value) {
    boolean ours = value.id() < values.size() && values.get(value.id()).equals(value);
    Expect.that(op, ours, "a value of this program", value);
  }
}
