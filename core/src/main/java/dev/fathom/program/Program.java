package dev.fathom.program;

import dev.fathom.kvcache.KvSpec;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One step of a model: operations in order, the weights and caches they need, and named inputs and
 * outputs. Immutable; made by {@link ProgramBuilder}.
 */
public final class Program {

  /** Name of the input that holds token ids. */
  public static final String TOKENS = "tokens";

  /** Name of a draft program's input that holds the states it continues: [T, width]. */
  public static final String HIDDEN = "hidden";

  /** Name of the output that holds what a draft program continues, for each token: [T, ..]. */
  public static final String STATE = "state";

  /** Name of the output that holds logits. */
  public static final String LOGITS = "logits";

  private final String name;
  private final List<Op> ops;
  private final List<Value> values;
  private final Map<String, Value> inputs;
  private final Map<String, Value> outputs;
  private final List<WeightRef> weights;
  private final List<KvSpec> kvSpecs;

  Program(
      String name,
      List<Op> ops,
      List<Value> values,
      Map<String, Value> inputs,
      Map<String, Value> outputs) {
    this.name = name;
    this.ops = List.copyOf(ops);
    this.values = List.copyOf(values);
    this.inputs = Collections.unmodifiableMap(new LinkedHashMap<>(inputs));
    this.outputs = Collections.unmodifiableMap(new LinkedHashMap<>(outputs));
    this.weights = collectWeights(ops);
    this.kvSpecs = collectKvSpecs(ops);
  }

  private static List<WeightRef> collectWeights(List<Op> ops) {
    Map<String, WeightRef> byName = new LinkedHashMap<>();
    for (Op op : ops) {
      for (WeightRef weight : op.weights()) {
        byName.putIfAbsent(weight.name(), weight);
      }
    }
    return List.copyOf(byName.values());
  }

  private static List<KvSpec> collectKvSpecs(List<Op> ops) {
    List<KvSpec> specs = new ArrayList<>();
    for (Op op : ops) {
      KvSpec spec = storedBy(op);
      if (spec != null && !specs.contains(spec)) {
        specs.add(spec);
      }
    }
    return List.copyOf(specs);
  }

  /** Returns the cache that an operation writes, or null. */
  static @Nullable KvSpec storedBy(Op op) {
    return switch (op) {
      case Op.StoreKv store -> store.spec();
      case CompressedOp.CompressKv compress -> compress.entries();
      default -> null;
    };
  }

  /** Returns the name of the program, such as {@code deepseek_v3}. */
  public String name() {
    return name;
  }

  /** Returns the operations in the order in which they run. */
  public List<Op> ops() {
    return ops;
  }

  /** Returns all values; a value's id is its index. */
  public List<Value> values() {
    return values;
  }

  /** Returns the named inputs. */
  public Map<String, Value> inputs() {
    return inputs;
  }

  /** Returns the named outputs; a backend computes those that it was compiled for. */
  public Map<String, Value> outputs() {
    return outputs;
  }

  /** Returns each needed weight once, in order of first use. */
  public List<WeightRef> weights() {
    return weights;
  }

  /** Returns each KV cache that the program writes, in order of first use. */
  public List<KvSpec> kvSpecs() {
    return kvSpecs;
  }

  /** Returns the vocabulary size: the width of the logits. */
  public int vocabSize() {
    Value logits = outputs.get(LOGITS);
    if (logits == null) {
      throw new IllegalStateException("program " + name + " has no output " + LOGITS);
    }
    return logits.shape().last();
  }

  /**
   * Returns the same program with further outputs, such as the inputs of linears that a calibration
   * looks at.
   *
   * @param more values of this program by new names
   */
  public Program withOutputs(Map<String, Value> more) {
    Map<String, Value> all = new LinkedHashMap<>(outputs);
    more.forEach((key, value) -> {
      boolean known = value.id() < values.size() && values.get(value.id()).equals(value);
      if (!known || all.putIfAbsent(key, value) != null) {
        throw new IllegalArgumentException(
            "output: expected a new name and a value of the program, got " + key + " " + value);
      }
    });
    return new Program(name, ops, values, inputs, all);
  }

  /** Returns the program as {@link ProgramPrinter} prints it. */
  @Override
  public String toString() {
    return ProgramPrinter.print(this);
  }
}
