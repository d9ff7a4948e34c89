package dev.fathom.backend;

import dev.fathom.moe.ExpertPlan;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * How many tokens the routed experts of a program's mixtures computed, all steps together: prompts,
 * guesses that did not hold, and steps that failed later included.
 *
 * <p>One thread adds, any thread reads; adding allocates nothing and costs a store an active
 * expert.
 */
public final class ExpertLoads {

  /** Of a program without mixtures, or of a backend that does not count. */
  public static final ExpertLoads NONE = new ExpertLoads();

  private static final String LAYERS = "layers.";

  private final List<Layer> layers = new ArrayList<>();
  private final Map<Op.Moe, Layer> byOp = new IdentityHashMap<>();

  private ExpertLoads() {}

  /** Makes counters at zero for each mixture of a program. */
  public static ExpertLoads of(Program program) {
    ExpertLoads loads = new ExpertLoads();
    for (Op op : program.ops()) {
      if (op instanceof Op.Moe moe) {
        Layer layer = new Layer(number(moe, loads.layers.size()), moe.experts().size());
        loads.layers.add(layer);
        loads.byOp.put(moe, layer);
      }
    }
    return loads;
  }

  /** The number that the checkpoint gives the layer, else its place among the mixtures. */
  private static int number(Op.Moe moe, int place) {
    String name = moe.experts().getFirst().gate().name();
    int at = name.indexOf(LAYERS);
    int number = 0;
    int i = at + LAYERS.length();
    while (at >= 0 && i < name.length() && Character.isDigit(name.charAt(i)) && number < 1 << 20) {
      number = 10 * number + Character.digit(name.charAt(i++), 10);
    }
    return at >= 0 && i > at + LAYERS.length() ? number : place;
  }

  /** Returns the layers in the order of the program. */
  public List<Layer> layers() {
    return List.copyOf(layers);
  }

  /**
   * Returns the counters of a mixture.
   *
   * @throws IllegalArgumentException if it is not of the program
   */
  public Layer layer(Op.Moe moe) {
    Layer layer = byOp.get(moe);
    if (layer == null) {
      throw new IllegalArgumentException("moe: expected a mixture of the program, got another");
    }
    return layer;
  }

  /** Sets all counters to zero. The thread of the steps. */
  public void clear() {
    for (Layer layer : layers()) {
      for (int e = 0; e < layer.tokens.length(); e++) {
        layer.tokens.setOpaque(e, 0);
      }
    }
  }

  /** The counters of a layer's experts. */
  public static final class Layer {

    private final int number;
    private final AtomicLongArray tokens;

    private Layer(int number, int numExperts) {
      this.number = number;
      this.tokens = new AtomicLongArray(numExperts);
    }

    /** Returns the layer's number in the model. */
    public int number() {
      return number;
    }

    /** Adds what a step routes. The thread of the steps. */
    public void add(ExpertPlan plan) {
      for (int i = 0; i < plan.numActiveExperts(); i++) {
        int e = plan.activeExpert(i);
        tokens.setOpaque(e, tokens.getPlain(e) + plan.count(e));
      }
    }

    /** Returns the tokens of each expert so far. Any thread. */
    public long[] tokens() {
      long[] copy = new long[tokens.length()];
      for (int e = 0; e < copy.length; e++) {
        copy[e] = tokens.getOpaque(e);
      }
      return copy;
    }
  }
}
