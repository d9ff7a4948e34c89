package dev.fathom.backend;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Linears;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The programs of one executable: the main one and its drafts, in this order.
 *
 * <p>A draft takes the states of the main program or of a draft, as wide as its input {@link
 * Program#HIDDEN}, and has a vocabulary of the same size. All write one set of KV caches: layers of
 * a kind share block tables whichever program they belong to.
 *
 * @param programs at least one
 */
public record ProgramSet(List<Program> programs) {

  /**
   * Copies and checks.
   *
   * @throws IllegalArgumentException naming the rule and the program that breaks it
   */
  public ProgramSet {
    programs = List.copyOf(programs);
    if (programs.isEmpty()) {
      throw new IllegalArgumentException("must be >= 1: programs=0");
    }
    Program main = programs.getFirst();
    if (main.inputs().containsKey(Program.HIDDEN)) {
      throw new IllegalArgumentException("must not continue another: " + main.name());
    }
    for (Program draft : programs.subList(1, programs.size())) {
      Value hidden = draft.inputs().get(Program.HIDDEN);
      int width = hidden == null ? 0 : hidden.shape().width();
      if (width != stateWidth(main) || width != stateWidth(draft) || width == 0) {
        throw new IllegalArgumentException(
            "draft: expected states of "
                + stateWidth(main)
                + " elements in and out, got "
                + width
                + " and "
                + stateWidth(draft)
                + " of "
                + draft.name());
      }
      if (draft.vocabSize() != main.vocabSize()) {
        throw new IllegalArgumentException(
            "draft: expected " + main.vocabSize() + " logits, got " + draft.vocabSize());
      }
    }
  }

  private static int stateWidth(Program program) {
    Value state = program.outputs().get(Program.STATE);
    return state == null ? 0 : state.shape().width();
  }

  /** Returns the main program. */
  public Program main() {
    return programs.getFirst();
  }

  /** Returns each KV cache that a program writes, those of the main program first. */
  public List<KvSpec> kvSpecs() {
    Set<KvSpec> specs = new LinkedHashSet<>();
    programs.forEach(program -> specs.addAll(program.kvSpecs()));
    return List.copyOf(specs);
  }

  /** Returns the matrices that adapters change, by the names of their linears. */
  public Map<String, WeightRef> linears() {
    Map<String, WeightRef> byName = new LinkedHashMap<>();
    programs.forEach(program -> byName.putAll(new Linears(program).byName()));
    return byName;
  }

  /** Returns each needed weight once, in order of first use. */
  public List<WeightRef> weights() {
    Map<String, WeightRef> byName = new LinkedHashMap<>();
    for (Program program : programs) {
      program.weights().forEach(weight -> byName.putIfAbsent(weight.name(), weight));
    }
    return new ArrayList<>(byName.values());
  }
}
