package dev.fathom.backend.reference;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.ExpertLoads;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.ScratchPlan;
import dev.fathom.backend.StepBatch;
import dev.fathom.moe.ExpertPlan;
import dev.fathom.moe.Router;
import dev.fathom.moe.RouterScratch;
import dev.fathom.program.CompressedOp;
import dev.fathom.program.ElementType;
import dev.fathom.program.Expert;
import dev.fathom.program.Lead;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.StreamOp;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Walks the operations of a program for one step. One thread. */
final class Interpreter {

  private final Program program;
  private final PlacedWeights weights;
  private final CompileOptions options;
  private final PagedKv kv;
  private final @Nullable Adapter[] adapters;
  private final ScratchPlan plan;
  private final float[][] slots;
  private final int[][] ints;
  private final Scratch scratch;
  private final ExpertPlan expertPlan = new ExpertPlan();
  private final ExpertLoads expertLoads;
  private final Map<String, float[]> vectors = new HashMap<>();
  private final int[] tokens;
  private StepBatch batch;
  private volatile boolean aborted;

  Interpreter(
      Program program,
      PlacedWeights weights,
      CompileOptions options,
      PagedKv kv,
      @Nullable Adapter[] adapters) {
    this.program = program;
    this.expertLoads = ExpertLoads.of(program);
    this.weights = weights;
    this.options = options;
    this.kv = kv;
    this.adapters = adapters;
    this.plan = new ScratchPlan(program, options.outputs());
    this.slots = new float[plan.slots().size()][];
    this.ints = new int[plan.slots().size()][];
    this.scratch = new Scratch(program, options);
    this.tokens = new int[options.maxTokens()];
    this.batch = new StepBatch(options, kv.groups());
    allocate();
  }

  private void allocate() {
    for (int i = 0; i < slots.length; i++) {
      ScratchPlan.Slot slot = plan.slots().get(i);
      int rows = slot.lead() == Lead.TOKENS ? options.maxTokens() : options.maxRows();
      int elements = Math.multiplyExact(rows, slot.width());
      boolean floats = slot.type() != ElementType.I32;
      boolean integers = slot.type() != ElementType.F32;
      slots[i] = new float[floats ? elements : 0];
      ints[i] = new int[integers ? elements : 0];
    }
  }

  /**
   * Computes every value of the step; sampled tokens come from the previous one, states from the
   * program that it ran.
   */
  void run(StepBatch step, SampledRows previous, Interpreter source) {
    this.batch = step;
    for (int t = 0; t < step.numTokens(); t++) {
      int token = step.token(t);
      tokens[t] = token >= 0 ? token : previous.token(-1 - token);
    }
    Value hidden = program.inputs().get(Program.HIDDEN);
    if (hidden != null) {
      gather(hidden, source);
    }
    for (Op op : program.ops()) {
      if (aborted) {
        throw new IllegalStateException("step: expected to run to its end, was aborted");
      }
      run(op);
    }
  }

  /** Returns the tokens of the program's experts. */
  ExpertLoads expertLoads() {
    return expertLoads;
  }

  /** Makes the running step, and every later one, fail before its next operation. Any thread. */
  void abort() {
    aborted = true;
  }

  /** Fills the input of hidden states from what another program, or this one, put out. */
  private void gather(Value hidden, Interpreter source) {
    float[] states = source.data(source.output(Program.STATE));
    int width = hidden.shape().width();
    for (int t = 0; t < batch.numTokens(); t++) {
      System.arraycopy(states, batch.hidden(t) * width, data(hidden), t * width, width);
    }
  }

  private void run(Op op) {
    switch (op) {
      case Op.Embed embed -> embed(embed);
      case Op.RmsNorm norm -> rmsNorm(norm);
      case Op.Linear linear -> linear(linear);
      case Op.Slice slice -> slice(slice);
      case Op.Concat concat -> concat(concat);
      case Op.Reshape _ -> {}
      case Op.Rope rope -> rope(rope);
      case Op.StoreKv store -> storeKv(store);
      case Op.LatentAttention attention -> latentAttention(attention);
      case Op.TopKIndex index -> topKIndex(index);
      case Op.LayerNorm norm -> layerNorm(norm);
      case Op.Attention attention ->
          Attention.run(
              attention, batch, kv, data(attention.query()), data(attention.result()), scratch);
      case Op.Route route -> route(route);
      case Op.Moe moe -> moe(moe);
      case Op.SwiGlu swiGlu -> swiGlu(swiGlu);
      case Op.Add add -> add(add);
      case Op.Logits logits -> logits(logits);
      case StreamOp stream -> stream(stream);
      case CompressedOp compressed -> compressed(compressed);
    }
  }

  /** Returns the elements of a value that is alive. */
  float[] data(Value value) {
    return slots[plan.slotOf(value)];
  }

  private WeightMatrix matrix(WeightRef weight) {
    return ((ReferenceWeight) weights.get(weight)).matrix();
  }

  private float[] vector(WeightRef weight) {
    return vectors.computeIfAbsent(weight.name(), name -> decode(matrix(weight)));
  }

  private static float[] decode(WeightMatrix row) {
    float[] values = new float[row.cols()];
    row.decodeRow(0, values, 0);
    return values;
  }

  private int rows(Value value) {
    return value.shape().lead() == Lead.TOKENS ? batch.numTokens() : batch.numRows();
  }

  /** Number of vectors on the last axis. */
  private int vectors(Value value) {
    return rows(value) * (value.shape().width() / value.shape().last());
  }

  private void embed(Op.Embed op) {
    WeightMatrix table = matrix(op.weight());
    for (int t = 0; t < batch.numTokens(); t++) {
      table.decodeRow(tokens[t], data(op.result()), t * table.cols());
    }
  }

  private void rmsNorm(Op.RmsNorm op) {
    int len = op.weight().cols();
    float[] weight = vector(op.weight());
    for (int i = 0; i < vectors(op.input()); i++) {
      Elementwise.rmsNorm(data(op.input()), i * len, weight, len, op.eps(), data(op.result()));
    }
  }

  private void linear(Op.Linear op) {
    WeightRef biasRef = op.bias();
    WeightMatrix bias = biasRef == null ? null : matrix(biasRef);
    int n = vectors(op.input());
    Projection.apply(data(op.input()), n, matrix(op.weight()), bias, data(op.result()), scratch);
    if (op.input().shape().lead() == Lead.TOKENS) {
      for (int i = 0; i < n; i++) {
        int sequence = batch.sequenceOf(i * batch.numTokens() / n);
        addAdapter(sequence, op.weight(), op.input(), i, op.result(), i);
      }
    }
  }

  private void addAdapter(int sequence, WeightRef weight, Value in, int i, Value out, int o) {
    Adapter.Delta delta = delta(sequence, weight);
    if (delta != null) {
      int cols = weight.cols();
      int rows = weight.rows();
      Projection.addDelta(delta, data(in), i * cols, cols, data(out), o * rows, rows);
    }
  }

  /** Returns what the adapter of a sequence adds to a linear, or null. */
  private Adapter.@Nullable Delta delta(int sequence, WeightRef weight) {
    int slot = batch.adapterSlot(sequence);
    Adapter adapter = slot == StepBatch.NO_ADAPTER ? null : adapters[slot];
    return adapter == null ? null : adapter.deltas().get(weight.linearName());
  }

  private void slice(Op.Slice op) {
    int width = op.input().shape().last();
    int len = op.end() - op.begin();
    for (int i = 0; i < vectors(op.input()); i++) {
      System.arraycopy(data(op.input()), i * width + op.begin(), data(op.result()), i * len, len);
    }
  }

  private void concat(Op.Concat op) {
    int width = op.result().shape().last();
    int first = 0;
    for (Value part : op.parts()) {
      int len = part.shape().last();
      for (int i = 0; i < vectors(part); i++) {
        System.arraycopy(data(part), i * len, data(op.result()), i * width + first, len);
      }
      first += len;
    }
  }

  private void rope(Op.Rope op) {
    float[] out = data(op.result());
    int width = op.input().shape().last();
    int perToken = op.input().shape().width() / width;
    System.arraycopy(data(op.input()), 0, out, 0, batch.numTokens() * perToken * width);
    for (int t = 0; t < batch.numTokens(); t++) {
      for (int i = 0; i < perToken; i++) {
        int off = (t * perToken + i) * width + op.begin();
        Elementwise.rope(out, off, op.rope(), batch.position(t));
      }
    }
  }

  private void storeKv(Op.StoreKv op) {
    for (int t = 0; t < batch.numTokens(); t++) {
      int first = 0;
      for (Value part : op.parts()) {
        int width = part.shape().width();
        kv.write(batch, t, op.spec(), first, data(part), t * width, width);
        first += width;
      }
    }
  }

  private void latentAttention(Op.LatentAttention op) {
    Value selection = op.selection();
    int[] selected = selection == null ? null : ints[plan.slotOf(selection)];
    new LatentAttention(op, matrix(op.kvB()), scratch, options.latentForm())
        .run(
            batch,
            kv,
            data(op.query()),
            selected,
            data(op.result()),
            sequence -> delta(sequence, op.kvB()));
  }

  private void topKIndex(Op.TopKIndex op) {
    int[] out = ints[plan.slotOf(op.result())];
    TopKIndex.run(op, batch, kv, data(op.query()), data(op.headWeights()), out, scratch);
  }

  private void layerNorm(Op.LayerNorm op) {
    int len = op.weight().cols();
    float[] weight = vector(op.weight());
    float[] bias = vector(op.bias());
    for (int i = 0; i < vectors(op.input()); i++) {
      Elementwise.layerNorm(
          data(op.input()), i * len, weight, bias, len, op.eps(), data(op.result()));
    }
  }

  private void route(Op.Route op) {
    int experts = op.spec().numExperts();
    int topK = op.spec().topK();
    float[] scores = new float[experts];
    RouterScratch chosen = new RouterScratch(experts);
    WeightRef biasRef = op.bias();
    float[] bias = biasRef == null ? null : vector(biasRef);
    WeightMatrix gate = matrix(op.weight());
    int slot = plan.slotOf(op.result());
    for (int t = 0; t < batch.numTokens(); t++) {
      Projection.vector(data(op.input()), t * gate.cols(), gate, scores, 0, scratch.row);
      Router.route(op.spec(), scores, 0, bias, ints[slot], slots[slot], t * topK, chosen);
    }
  }

  private void moe(Op.Moe op) {
    float[] out = data(op.result());
    int hidden = op.input().shape().last();
    Arrays.fill(out, 0, batch.numTokens() * hidden, 0);
    int slot = plan.slotOf(op.routing());
    int topK = op.routing().shape().last();
    List<Expert> experts = op.experts();
    expertPlan.build(batch.numTokens(), topK, ints[slot], experts.size());
    expertLoads.layer(op).add(expertPlan);
    for (int e = 0; e < experts.size(); e++) {
      if (expertPlan.count(e) > 0) {
        activate(experts.get(e), e, data(op.input()), op.limit());
        addDown(experts.get(e).down(), e, slots[slot], out);
      }
    }
  }

  /** scratch.gate[i, r] = silu(gate row r * x) * (up row r * x) for the tokens of an expert. */
  private void activate(Expert expert, int e, float[] in, float limit) {
    gather(expert.gate(), e, in, scratch.gate);
    gather(expert.up(), e, in, scratch.up);
    int len = expertPlan.count(e) * expert.gate().rows();
    for (int i = 0; i < len; i++) {
      scratch.gate[i] = Elementwise.swiGlu(scratch.gate[i], scratch.up[i], limit);
    }
  }

  private void gather(WeightRef ref, int e, float[] in, float[] target) {
    WeightMatrix weight = matrix(ref);
    int begin = expertPlan.offset(e);
    int rows = weight.rows();
    int cols = weight.cols();
    for (int r = 0; r < rows; r++) {
      weight.decodeRow(r, scratch.row, 0);
      for (int i = 0; i < expertPlan.count(e); i++) {
        int t = expertPlan.tokenOf(begin + i);
        target[i * rows + r] = Dot.of(in, t * cols, scratch.row, 0, cols);
      }
    }
    for (int i = 0; i < expertPlan.count(e); i++) {
      int t = expertPlan.tokenOf(begin + i);
      Adapter.Delta delta = delta(batch.sequenceOf(t), ref);
      if (delta != null) {
        Projection.addDelta(delta, in, t * cols, cols, target, i * rows, rows);
      }
    }
  }

  private void addDown(WeightRef ref, int e, float[] routingWeights, float[] out) {
    WeightMatrix down = matrix(ref);
    int begin = expertPlan.offset(e);
    int cols = down.cols();
    int topK = expertPlan.topK();
    for (int r = 0; r < down.rows(); r++) {
      down.decodeRow(r, scratch.row, 0);
      for (int i = 0; i < expertPlan.count(e); i++) {
        int t = expertPlan.tokenOf(begin + i);
        float weight = routingWeights[t * topK + expertPlan.slotOf(begin + i)];
        out[t * down.rows() + r] += weight * Dot.of(scratch.gate, i * cols, scratch.row, 0, cols);
      }
    }
    for (int i = 0; i < expertPlan.count(e); i++) {
      int t = expertPlan.tokenOf(begin + i);
      float weight = routingWeights[t * topK + expertPlan.slotOf(begin + i)];
      Adapter.Delta delta = delta(batch.sequenceOf(t), ref);
      if (delta != null) {
        Adapter.Delta weighed = delta.scaled(weight);
        Projection.addDelta(
            weighed, scratch.gate, i * cols, cols, out, t * down.rows(), down.rows());
      }
    }
  }

  private void stream(StreamOp op) {
    float[] out = data(op.result());
    float[] in = data(op.operands().getFirst());
    for (int t = 0; t < batch.numTokens(); t++) {
      switch (op) {
        case StreamOp.Repeat repeat -> HyperConnections.repeat(repeat, in, out, t);
        case StreamOp.Mixing mixing ->
            HyperConnections.mixing(
                mixing,
                matrix(mixing.function()),
                vector(mixing.base()),
                vector(mixing.scale()),
                in,
                out,
                t,
                scratch.row);
        case StreamOp.HeadMixing mixing ->
            HyperConnections.headMixing(
                mixing,
                matrix(mixing.function()),
                vector(mixing.base()),
                vector(mixing.scale()),
                in,
                out,
                t,
                scratch.row);
        case StreamOp.Collapse collapse ->
            HyperConnections.collapse(collapse, in, data(collapse.mixing()), out, t);
        case StreamOp.Expand expand ->
            HyperConnections.expand(
                expand, in, data(expand.update()), data(expand.mixing()), out, t);
      }
    }
  }

  private void compressed(CompressedOp op) {
    switch (op) {
      case CompressedOp.UnitNorm norm -> {
        int len = norm.input().shape().last();
        for (int i = 0; i < vectors(norm.input()); i++) {
          Elementwise.unitNorm(data(norm.input()), i * len, len, norm.eps(), data(norm.result()));
        }
      }
      case CompressedOp.GroupedLinear linear -> groupedLinear(linear);
      case CompressedOp.CompressKv compress ->
          Compressor.run(
              compress, batch, kv, matrix(compress.ape()), vector(compress.norm()), scratch);
      case CompressedOp.WindowAttention attention -> windowAttention(attention);
      case CompressedOp.HashRoute route -> hashRoute(route);
    }
  }

  private void groupedLinear(CompressedOp.GroupedLinear op) {
    WeightMatrix weight = matrix(op.weight());
    int groups = op.input().shape().dims().getFirst();
    int rows = weight.rows();
    int cols = weight.cols();
    for (int r = 0; r < rows; r++) {
      weight.decodeRow(r, scratch.row, 0);
      int group = r / (rows / groups);
      for (int t = 0; t < batch.numTokens(); t++) {
        int at = (t * groups + group) * cols;
        data(op.result())[t * rows + r] = Dot.of(data(op.input()), at, scratch.row, 0, cols);
      }
    }
  }

  private void windowAttention(CompressedOp.WindowAttention op) {
    Value selection = op.selection();
    int[] selected = selection == null ? null : ints[plan.slotOf(selection)];
    new WindowAttention(op, vector(op.sinks()), scratch)
        .run(batch, kv, data(op.query()), selected, data(op.result()));
  }

  private void hashRoute(CompressedOp.HashRoute op) {
    int topK = op.spec().topK();
    float[] scores = new float[op.spec().numExperts()];
    float[] ids = new float[topK];
    RouterScratch chosen = new RouterScratch(scores.length);
    WeightMatrix gate = matrix(op.weight());
    int slot = plan.slotOf(op.result());
    for (int t = 0; t < batch.numTokens(); t++) {
      matrix(op.table()).decodeRow(tokens[t], ids, 0);
      for (int k = 0; k < topK; k++) {
        ints[slot][t * topK + k] = (int) ids[k];
      }
      Projection.vector(data(op.input()), t * gate.cols(), gate, scores, 0, scratch.row);
      Router.weigh(op.spec(), scores, 0, ints[slot], slots[slot], t * topK, chosen);
    }
  }

  private void swiGlu(Op.SwiGlu op) {
    float[] gate = data(op.gate());
    float[] up = data(op.up());
    float[] out = data(op.result());
    for (int i = 0; i < rows(op.gate()) * op.gate().shape().width(); i++) {
      out[i] = Elementwise.swiGlu(gate[i], up[i], op.limit());
    }
  }

  private void add(Op.Add op) {
    float[] a = data(op.a());
    float[] b = data(op.b());
    float[] out = data(op.result());
    for (int i = 0; i < rows(op.a()) * op.a().shape().width(); i++) {
      out[i] = a[i] + b[i];
    }
  }

  private void logits(Op.Logits op) {
    WeightMatrix head = matrix(op.weight());
    float[] in = data(op.input());
    float[] out = data(op.result());
    for (int v = 0; v < head.rows(); v++) {
      head.decodeRow(v, scratch.row, 0);
      for (int s = 0; s < batch.numSequences(); s++) {
        for (int r = batch.firstRow(s); r < batch.firstRow(s + 1); r++) {
          int t = batch.tokenOfRow(s, r);
          out[r * head.rows() + v] = Dot.of(in, t * head.cols(), scratch.row, 0, head.cols());
        }
      }
    }
    for (int s = 0; s < batch.numSequences(); s++) {
      for (int r = batch.firstRow(s); r < batch.firstRow(s + 1); r++) {
        int t = batch.tokenOfRow(s, r);
        addAdapter(s, op.weight(), op.input(), t, op.result(), r);
      }
    }
  }

  /** Samples a row from a copy of its logits. */
  void sample(int row, SamplingRows rows, RowSampler sampler, SampledRows out) {
    Value logits = output(Program.LOGITS);
    int vocab = logits.shape().last();
    System.arraycopy(data(logits), row * vocab, scratch.logits, 0, vocab);
    sampler.sample(rows, row, scratch.logits, 0, vocab, out);
  }

  private Value output(String name) {
    Value value = program.outputs().get(name);
    if (value == null) {
      throw new IllegalStateException("program: expected an output " + name + ", got none");
    }
    return value;
  }
}
