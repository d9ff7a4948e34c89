package dev.fathom.quantization;

import dev.fathom.arch.Architecture;
import dev.fathom.arch.Architectures;
import dev.fathom.arch.Compatibility;
import dev.fathom.arch.TensorCatalog;
import dev.fathom.arch.WeightRole;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The programs of a source checkpoint and the roles of their weights. Immutable. */
final class SourceModel {

  private final Program program;
  private final Map<String, WeightRole> roles = new HashMap<>();
  private final Map<String, WeightRef> weights = new LinkedHashMap<>();
  private final Set<String> embeddings = new HashSet<>();
  private final Set<String> heads = new HashSet<>();

  SourceModel(Checkpoint checkpoint, CheckpointWeights catalog) {
    Architecture architecture = Architectures.forConfig(checkpoint.config());
    TensorCatalog noting =
        (name, expected, role) -> {
          roles.put(name, role);
          return catalog.find(name, expected, role);
        };
    this.program = architecture.program(checkpoint.config(), noting);
    add(program);
    architecture
        .mtpPrograms(checkpoint.config(), noting, Compatibility.PUBLISHED)
        .forEach(this::add);
  }

  private void add(Program described) {
    described.weights().forEach(weight -> weights.putIfAbsent(weight.name(), weight));
    for (Op op : described.ops()) {
      switch (op) {
        case Op.Embed embed -> embeddings.add(embed.weight().name());
        case Op.Logits logits -> heads.add(logits.weight().name());
        default -> {}
      }
    }
  }

  /** The main program. */
  Program program() {
    return program;
  }

  /** Every weight once. */
  List<WeightRef> weights() {
    return List.copyOf(weights.values());
  }

  /** Whether a weight is one of the program's. */
  boolean knows(WeightRef weight) {
    return weights.containsKey(weight.name());
  }

  /** What a weight is for. */
  WeightRole role(WeightRef weight) {
    return roles.getOrDefault(weight.name(), WeightRole.DENSE);
  }

  /** Whether a weight is a head and not also the embedding. */
  boolean isOwnHead(WeightRef weight) {
    return heads.contains(weight.name()) && !embeddings.contains(weight.name());
  }

  /** Whether a weight is the matrix of a linear, router or head. */
  boolean isMatrix(WeightRef weight) {
    return !weight.isVector() && !embeddings.contains(weight.name());
  }
}
