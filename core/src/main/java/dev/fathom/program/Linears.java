package dev.fathom.program;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Every matrix of a program that a low-rank adapter can change, by the name of its linear: plain
 * linears, the head, {@code kv_b} of latent attention, and gate, up and down of each routed expert.
 *
 * <p>Not among them: embeddings, routers, block-diagonal products and the mixing functions of
 * hyper-connections, which are no linear layers in the published code.
 */
public final class Linears {

  private static final String HEAD = "lm_head";

  private final Map<String, WeightRef> byName = new LinkedHashMap<>();
  private final Map<String, WeightRef> view = Collections.unmodifiableMap(byName);
  private long plainElements;
  private String head = "";

  /** Collects the linears of a program. */
  public Linears(Program program) {
    program.ops().forEach(this::collect);
  }

  private void collect(Op op) {
    switch (op) {
      case Op.Linear linear -> addPlain(linear.name(), linear.weight());
      case Op.Logits logits -> {
        head = logits.name();
        addPlain(logits.name(), logits.weight());
      }
      case Op.LatentAttention attention -> addPlain(attention.kvB().linearName(), attention.kvB());
      case Op.Moe moe ->
          moe.experts()
              .forEach(expert ->
                  List.of(expert.gate(), expert.up(), expert.down())
                      .forEach(weight -> byName.put(weight.linearName(), weight)));
      default -> {}
    }
  }

  private void addPlain(String name, WeightRef weight) {
    if (byName.put(name, weight) == null) {
      plainElements += weight.rows() + (long) weight.cols();
    }
  }

  /** Returns the matrices by the names of their linears, in the order of the program. */
  public Map<String, WeightRef> byName() {
    return view;
  }

  /**
   * Returns the name under which a program has a linear: its own, or that of the tied embedding for
   * {@code lm_head}.
   */
  public String canonical(String name) {
    return name.equals(HEAD) && !byName.containsKey(HEAD) ? head : name;
  }

  /** Returns the bytes of a float32 adapter of a rank on every linear that is no routed expert. */
  public long adapterBytes(int rank) {
    return Math.multiplyExact(plainElements, (long) rank * Float.BYTES);
  }
}
