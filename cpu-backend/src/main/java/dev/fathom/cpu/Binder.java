package dev.fathom.cpu;

import dev.fathom.backend.PlacedWeights;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.moe.RouterScratch;
import dev.fathom.program.CompressedOp;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.RopeSpec;
import dev.fathom.program.StreamOp;
import dev.fathom.program.WeightRef;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Binds each operation of a program to its weights, its memory and its kernel. Used once. */
final class Binder {

  private final Program program;
  private final PlacedWeights weights;
  private final Step step;
  private final PagedKv kv;
  private final Adapters adapters;
  private final Arena arena;
  private final Map<RopeSpec, RopeTable> ropes = new LinkedHashMap<>();
  private final float[] routerScores;
  private final RouterScratch routerScratch;
  private final MoeOperation.Scratch moeScratch;
  private final HeadScratch[] heads;
  private final LatentScratch latentScratch;
  private final TopKIndexOperation.Scratch[] indexScratch;

  Binder(
      Program program,
      PlacedWeights weights,
      Step step,
      PagedKv kv,
      Adapters adapters,
      Arena arena) {
    this.program = program;
    this.weights = weights;
    this.step = step;
    this.kv = kv;
    this.adapters = adapters;
    this.arena = arena;
    Sizes sizes = step.sizes();
    this.routerScores = new float[sizes.scores()];
    this.routerScratch = new RouterScratch(sizes.experts());
    this.moeScratch = new MoeOperation.Scratch(sizes);
    this.heads = new HeadScratch[step.threads()];
    this.latentScratch = LatentScratch.of(sizes, heads.length);
    this.indexScratch = new TopKIndexOperation.Scratch[heads.length];
    for (int i = 0; i < heads.length; i++) {
      heads[i] = new HeadScratch(sizes);
      indexScratch[i] = new TopKIndexOperation.Scratch(sizes);
    }
  }

  /** Returns the operations in the order in which they run. */
  List<Operation> bind() {
    List<Operation> bound = new ArrayList<>();
    for (Op op : program.ops()) {
      Operation operation = bind(op);
      if (operation != null) {
        bound.add(operation);
      }
    }
    // Every rotation of the step reads these tables.
    ropes.values().forEach(table -> bound.addFirst(table::fill));
    return JoinedLinears.join(step, bound);
  }

  private @Nullable Operation bind(Op op) {
    return switch (op) {
      case Op.Embed embed -> Elementwise.embed(embed, weight(embed.weight()), step);
      case Op.RmsNorm norm -> Elementwise.rmsNorm(norm, weight(norm.weight()).vector(), step);
      case Op.Linear linear ->
          new LinearOperation(
              linear, matrix(linear.weight()), vector(linear.bias()), step, adapters);
      case Op.Slice slice -> Elementwise.slice(slice, step);
      case Op.Concat concat -> Elementwise.concat(concat, step);
      case Op.Reshape _ -> null;
      case Op.Rope rope -> Elementwise.rope(rope, table(rope.rope()), step);
      case Op.StoreKv store -> Elementwise.storeKv(store, kv, step);
      case Op.LatentAttention attention ->
          new LatentAttentionOperation(
              attention,
              matrix(attention.kvB()).rowMajor(arena),
              kv,
              step,
              adapters,
              heads,
              latentScratch);
      case Op.Attention attention -> new AttentionOperation(attention, kv, step, heads);
      case Op.TopKIndex index -> new TopKIndexOperation(index, kv, step, indexScratch);
      case Op.LayerNorm norm ->
          Elementwise.layerNorm(
              norm, weight(norm.weight()).vector(), weight(norm.bias()).vector(), step);
      case Op.Route route ->
          new RouteOperation(
              route,
              matrix(route.weight()),
              vector(route.bias()),
              step,
              routerScores,
              routerScratch);
      case Op.Moe moe -> new MoeOperation(moe, experts(moe), step, adapters, moeScratch);
      case Op.SwiGlu swiGlu -> Elementwise.swiGlu(swiGlu, step);
      case Op.Add add -> Elementwise.add(add, step);
      case Op.Logits logits -> new LogitsOperation(logits, matrix(logits.weight()), step, adapters);
      case StreamOp stream -> bind(stream);
      case CompressedOp compressed -> bind(compressed);
    };
  }

  private Operation bind(StreamOp op) {
    return switch (op) {
      case StreamOp.Repeat repeat -> HyperConnections.repeat(repeat, step);
      case StreamOp.Mixing mixing ->
          MixingOperation.of(
              mixing,
              matrix(mixing.function()),
              weight(mixing.base()).vector(),
              weight(mixing.scale()).vector(),
              step);
      case StreamOp.HeadMixing mixing ->
          MixingOperation.ofHead(
              mixing,
              matrix(mixing.function()),
              weight(mixing.base()).vector(),
              weight(mixing.scale()).vector(),
              step);
      case StreamOp.Collapse collapse -> HyperConnections.collapse(collapse, step);
      case StreamOp.Expand expand -> HyperConnections.expand(expand, step);
    };
  }

  private Operation bind(CompressedOp op) {
    return switch (op) {
      case CompressedOp.UnitNorm norm -> Elementwise.unitNorm(norm, step);
      case CompressedOp.GroupedLinear linear ->
          new GroupedLinearOperation(linear, matrix(linear.weight()), step);
      case CompressedOp.CompressKv compress ->
          new CompressKvOperation(
              compress, weight(compress.ape()).rows(), weight(compress.norm()).vector(), kv, step);
      case CompressedOp.WindowAttention attention ->
          new WindowAttentionOperation(
              attention, weight(attention.sinks()).vector(), kv, step, heads);
      case CompressedOp.HashRoute route ->
          new HashRouteOperation(
              route,
              matrix(route.weight()),
              weight(route.table()).rows(),
              step,
              routerScores,
              routerScratch);
    };
  }

  private RopeTable table(RopeSpec spec) {
    return ropes.computeIfAbsent(spec, s -> new RopeTable(s, step));
  }

  private CpuWeight weight(WeightRef ref) {
    return (CpuWeight) weights.get(ref);
  }

  private Matrix matrix(WeightRef ref) {
    return weight(ref).matrix();
  }

  private float @Nullable [] vector(@Nullable WeightRef ref) {
    return ref == null ? null : weight(ref).vector();
  }

  private MoeOperation.ExpertMatrices[] experts(Op.Moe moe) {
    MoeOperation.ExpertMatrices[] bound = new MoeOperation.ExpertMatrices[moe.experts().size()];
    for (int e = 0; e < bound.length; e++) {
      bound[e] =
          new MoeOperation.ExpertMatrices(
              matrix(moe.experts().get(e).gate()),
              matrix(moe.experts().get(e).up()),
              matrix(moe.experts().get(e).down()));
    }
    return bound;
  }
}
