package dev.fathom.quantization;

import dev.fathom.program.Expert;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Reads a program and finds every {@link Fold}, and which activation each linear reads.
 *
 * <p>Foldable are: a norm whose result only linears, routers, experts and a latent cache read; the
 * up projection before a down projection, unless the product is clamped; the value rows of kv_b or
 * of the value projection before the output projection. Everything else keeps its channels.
 */
final class FoldFinder {

  private final Program program;
  private final Predicate<WeightRef> quantized;
  private final Map<Integer, List<Op>> consumers = new HashMap<>();
  private final Map<Integer, Op> producers = new HashMap<>();
  private final Map<String, Integer> uses = new HashMap<>();
  private final Set<Integer> outputs = new HashSet<>();
  private final Map<String, Fold.Activation> inputs = new LinkedHashMap<>();
  private final Map<String, Fold.Activation.Hidden> experts = new HashMap<>();
  private final List<Fold> folds = new ArrayList<>();

  private FoldFinder(Program program, Predicate<WeightRef> quantized) {
    this.program = program;
    this.quantized = quantized;
  }

  /**
   * What was found.
   *
   * @param folds in the order of the program
   * @param inputs for each linear that will be quantized what it reads, by the weight's name
   * @param experts for each expert's gate and up the expert, by the weight's name
   */
  record Found(
      List<Fold> folds,
      Map<String, Fold.Activation> inputs,
      Map<String, Fold.Activation.Hidden> experts) {}

  /**
   * Looks at a program.
   *
   * @param quantized which weights will be quantized
   */
  static Found in(Program program, Predicate<WeightRef> quantized) {
    FoldFinder finder = new FoldFinder(program, quantized);
    finder.index();
    program.ops().forEach(finder::visit);
    return new Found(
        List.copyOf(finder.folds), Map.copyOf(finder.inputs), Map.copyOf(finder.experts));
  }

  private void index() {
    for (Op op : program.ops()) {
      op.operands()
          .forEach(value -> consumers.computeIfAbsent(value.id(), id -> new ArrayList<>()).add(op));
      Value result = op.result();
      if (result != null) {
        producers.put(result.id(), op);
      }
      op.weights().forEach(weight -> uses.merge(weight.name(), 1, Integer::sum));
    }
    program.outputs().values().forEach(value -> outputs.add(value.id()));
  }

  private void visit(Op op) {
    switch (op) {
      case Op.Linear linear -> {
        reads(linear.weight(), new Fold.Activation.Tapped(linear.input()));
        fromAttention(linear);
      }
      case Op.Logits logits -> reads(logits.weight(), new Fold.Activation.Tapped(logits.input()));
      case Op.RmsNorm norm -> fromNorm(norm);
      case Op.SwiGlu swiGlu -> fromSwiGlu(swiGlu);
      case Op.Moe moe -> moe(moe);
      case Op.StoreKv store -> latent(store);
      default -> {}
    }
  }

  private void reads(WeightRef weight, Fold.Activation input) {
    if (quantized.test(weight)) {
      inputs.put(weight.name(), input);
    }
  }

  private boolean usedOnce(WeightRef weight) {
    return uses.getOrDefault(weight.name(), 0) == 1;
  }

  private List<Op> consumersOf(Value value) {
    return consumers.getOrDefault(value.id(), List.of());
  }

  /** A latent cache's first part is what kv_b reads. */
  private void latent(Op.StoreKv store) {
    Op.LatentAttention attention = latentReader(store);
    if (attention != null) {
      reads(attention.kvB(), new Fold.Activation.Tapped(store.parts().getFirst()));
    }
  }

  private Op.@Nullable LatentAttention latentReader(Op.StoreKv store) {
    for (Op op : program.ops()) {
      if (op instanceof Op.LatentAttention attention && attention.cache().equals(store.spec())) {
        return attention;
      }
    }
    return null;
  }

  private void fromNorm(Op.RmsNorm norm) {
    List<WeightRef> readers = new ArrayList<>();
    List<WeightRef> compensated = new ArrayList<>();
    boolean foldable = !outputs.contains(norm.result().id()) && usedOnce(norm.weight());
    boolean powersOfTwo = false;
    for (Op op : consumersOf(norm.result())) {
      List<WeightRef> weights = readersOf(op, norm.result());
      foldable &= !weights.isEmpty();
      for (WeightRef weight : weights) {
        foldable &= usedOnce(weight);
        boolean stays = !quantized.test(weight);
        powersOfTwo |= stays && !(op instanceof Op.Route);
        (stays ? compensated : readers).add(weight);
      }
    }
    if (foldable && !readers.isEmpty()) {
      Fold.Producer producer = new Fold.Producer(norm.weight(), null, null);
      Fold.Activation input = new Fold.Activation.Tapped(norm.result());
      folds.add(new Fold(input, readers, compensated, producer, powersOfTwo));
    }
  }

  /** The matrices with which an operation reads a value; none where it reads it otherwise. */
  private List<WeightRef> readersOf(Op op, Value value) {
    return switch (op) {
      case Op.Linear linear -> List.of(linear.weight());
      case Op.Route route -> List.of(route.weight());
      case Op.Moe moe when moe.input().equals(value) && !moe.routing().equals(value) -> {
        List<WeightRef> weights = new ArrayList<>();
        for (Expert expert : moe.experts()) {
          weights.add(expert.gate());
          weights.add(expert.up());
        }
        yield weights;
      }
      case Op.StoreKv store when store.parts().getFirst().equals(value) -> {
        Op.LatentAttention attention = latentReader(store);
        yield attention == null ? List.of() : List.of(attention.kvB());
      }
      default -> List.of();
    };
  }

  private void fromSwiGlu(Op.SwiGlu swiGlu) {
    List<Op> after = consumersOf(swiGlu.result());
    boolean alone = after.size() == 1 && consumersOf(swiGlu.up()).size() == 1;
    if (alone
        && Double.isInfinite(swiGlu.limit())
        && after.getFirst() instanceof Op.Linear down
        && producers.get(swiGlu.up().id()) instanceof Op.Linear up
        && quantized.test(down.weight())
        && usedOnce(down.weight())
        && usedOnce(up.weight())) {
      int[] rows = identity(up.weight().rows());
      folds.add(
          Fold.of(
              new Fold.Activation.Tapped(swiGlu.result()),
              down.weight(),
              new Fold.Producer(up.weight(), up.bias(), rows)));
    }
  }

  private void moe(Op.Moe moe) {
    Op.Route route = producers.get(moe.routing().id()) instanceof Op.Route r ? r : null;
    for (int e = 0; e < moe.experts().size(); e++) {
      Expert expert = moe.experts().get(e);
      Fold.Activation.Hidden hidden = new Fold.Activation.Hidden(moe, route, e);
      reads(expert.gate(), new Fold.Activation.Tapped(moe.input()));
      reads(expert.up(), new Fold.Activation.Tapped(moe.input()));
      experts.put(expert.gate().name(), hidden);
      experts.put(expert.up().name(), hidden);
      reads(expert.down(), hidden);
      if (Float.isInfinite(moe.limit())
          && quantized.test(expert.down())
          && usedOnce(expert.down())
          && usedOnce(expert.up())) {
        int[] rows = identity(expert.up().rows());
        folds.add(Fold.of(hidden, expert.down(), new Fold.Producer(expert.up(), null, rows)));
      }
    }
  }

  private static int[] identity(int n) {
    int[] rows = new int[n];
    for (int i = 0; i < n; i++) {
      rows[i] = i;
    }
    return rows;
  }

  /** The output projection behind attention: its channels are rows of what made the values. */
  private void fromAttention(Op.Linear output) {
    if (!(producers.get(output.input().id()) instanceof Op.Reshape flat)
        || consumersOf(flat.result()).size() != 1
        || consumersOf(flat.input()).size() != 1
        || !quantized.test(output.weight())
        || !usedOnce(output.weight())) {
      return;
    }
    Fold.Producer producer =
        switch (producers.get(flat.input().id())) {
          case Op.LatentAttention attention -> valueRows(attention);
          case Op.Attention attention -> valueRows(attention);
          case null, default -> null;
        };
    if (producer != null && usedOnce(producer.weight())) {
      folds.add(Fold.of(new Fold.Activation.Tapped(output.input()), output.weight(), producer));
    }
  }

  private static Fold.Producer valueRows(Op.LatentAttention attention) {
    int v = attention.vHeadDim();
    int stride = attention.qkNopeHeadDim() + v;
    int[] rows = new int[attention.numHeads() * v];
    for (int c = 0; c < rows.length; c++) {
      rows[c] = c / v * stride + attention.qkNopeHeadDim() + c % v;
    }
    return new Fold.Producer(attention.kvB(), null, rows);
  }

  private Fold.@Nullable Producer valueRows(Op.Attention attention) {
    for (Op op : program.ops()) {
      if (op instanceof Op.StoreKv store
          && store.spec().equals(attention.cache())
          && store.parts().size() == 2
          && consumersOf(store.parts().getLast()).size() == 1
          && producers.get(store.parts().getLast().id()) instanceof Op.Linear value) {
        int dim = attention.result().shape().last();
        int shared = attention.numHeads() * dim / value.weight().rows();
        int[] rows = new int[attention.numHeads() * dim];
        for (int c = 0; c < rows.length; c++) {
          rows[c] = c / dim / shared * dim + c % dim;
        }
        return new Fold.Producer(value.weight(), value.bias(), rows);
      }
    }
    return null;
  }
}
