package dev.fathom;

import dev.fathom.backend.Backend;
import dev.fathom.backend.CompileOptions;
import dev.fathom.engine.EngineOptions;
import dev.fathom.engine.MachineMemory;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvGroup;
import dev.fathom.kvcache.KvGroups;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import dev.fathom.spill.BlockSpill;
import dev.fathom.spill.SpillOptions;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Computes memory plans of an opened model, and what would make one fit. Every remedy is itself
 * planned, so that what it promises is what the next plan says.
 */
final class MemoryPlanner {

  private static final int SMALLEST_CONTEXT = 16;
  private static final int SMALL_CHUNK = 32;

  private final OpenedModel model;
  private final Backend backend;
  private final MachineMemory machine;
  private final Weights weights;
  private long adapterBytes;

  /**
   * What weights need, whatever the options.
   *
   * @param bytes by format
   * @param numFiles files that hold them
   * @param largestSource largest weight that is in memory beside its placed form
   */
  private record Weights(Map<WeightFormat, Long> bytes, int numFiles, long largestSource) {

    static Weights of(OpenedModel model, Backend backend) {
      Map<WeightFormat, Long> bytes = new EnumMap<>(WeightFormat.class);
      long largestSource = 0;
      List<WeightRef> all = model.programs().weights();
      for (WeightRef weight : all) {
        long source = model.catalog().bytes(weight);
        boolean keeps = backend.keepsSource(weight);
        bytes.merge(weight.format(), backend.placedBytes(weight) + (keeps ? source : 0), Long::sum);
        largestSource = Math.max(largestSource, keeps ? 0 : source);
      }
      return new Weights(bytes, model.catalog().numFiles(all), largestSource);
    }
  }

  MemoryPlanner(OpenedModel model, Backend backend, MachineMemory machine) {
    this.model = model;
    this.backend = backend;
    this.machine = machine;
    this.weights = Weights.of(model, backend);
  }

  /** Returns the plan of these options, with remedies where it does not fit. */
  MemoryPlan plan(LoadOptions options) {
    return plan(options, AdapterPlan.of(model.program(), options));
  }

  /** As {@link #plan(LoadOptions)}, where the adapters were looked at before. */
  MemoryPlan plan(LoadOptions options, AdapterPlan adapters) {
    adapterBytes = adapters.limits().bytes();
    MemoryPlan plan = compute(options, List.of());
    return plan.fits() ? plan : compute(options, remedies(options, plan));
  }

  private MemoryPlan compute(LoadOptions options, List<Remedy> remedies) {
    EngineOptions capacities = model.capacities(options, backend);
    int blockTokens = OpenedModel.blockTokens(options, backend);
    long kv = kvBytes(options.kvCache(), blockTokens, capacities) + tierBytes(options, blockTokens);
    long scratch = 0;
    CompileOptions compile = model.compileOptions(capacities, options, backend);
    List<Program> programs = model.programs().programs();
    for (Program program : programs) {
      scratch += backend.scratchBytes(program, compile.forPrograms(programs.size()));
    }
    return new MemoryPlan(
        weights.bytes(),
        weights.numFiles(),
        kv,
        scratch,
        adapterBytes,
        Math.max(0, weights.largestSource() - kv - scratch - adapterBytes),
        capacities.contextTokens(),
        capacities.maxSequences(),
        available(options.memoryBudget()),
        remedies);
  }

  private long kvBytes(KvFormat format, int blockTokens, EngineOptions capacities) {
    long bytes = 0;
    for (KvGroup group : KvGroups.of(model.programs().kvSpecs())) {
      long block = group.blockBytes(format, blockTokens);
      int blocks = capacities.pools().get(group.id()).numBlocks();
      bytes = Math.addExact(bytes, Math.multiplyExact(block, (long) blocks));
    }
    return bytes;
  }

  private long tierBytes(LoadOptions options, int blockTokens) {
    long blocks = 0;
    for (KvGroup group : KvGroups.of(model.programs().kvSpecs())) {
      blocks += group.blockBytes(options.kvCache(), blockTokens);
    }
    SpillOptions spill =
        new SpillOptions(
            options.kvHostMemory().count(),
            options.kvFolder(),
            options.kvFolderLimit().count(),
            "");
    return BlockSpill.memoryBytes(spill, blocks);
  }

  private AvailableMemory available(@Nullable Bytes budget) {
    if (budget != null && budget.count() <= machine.bytes()) {
      return new AvailableMemory(budget.count(), "memoryBudget", machine.bytes());
    }
    return new AvailableMemory(machine.bytes(), machine.limit(), machine.bytes());
  }

  private List<Remedy> remedies(LoadOptions options, MemoryPlan plan) {
    List<Remedy> remedies = new ArrayList<>();
    LoadOptions smallest = options;
    List<String> all = new ArrayList<>();
    if (options.kvCache() == KvFormat.F32) {
      remedies.add(remedy("kvCache(BF16)", options.kvCache(KvFormat.BF16)));
      smallest = smallest.kvCache(KvFormat.BF16);
      all.add("kvCache(BF16)");
    }
    if (options.maxSequences() > 1) {
      remedies.add(remedy("maxSequences(1)", options.maxSequences(1)));
      smallest = smallest.maxSequences(1);
      all.add("maxSequences(1)");
    }
    addContext(remedies, "", options, plan.contextTokens());
    if (remedies.stream().noneMatch(Remedy::fits) && options.prefillChunkTokens() > SMALL_CHUNK) {
      smallest = smallest.prefillChunkTokens(SMALL_CHUNK);
      all.add("prefillChunkTokens(" + SMALL_CHUNK + ")");
    }
    if (remedies.stream().noneMatch(Remedy::fits) && !all.isEmpty()) {
      String together = String.join(".", all);
      if (all.size() > 1) {
        remedies.add(remedy(together, smallest));
      }
      addContext(remedies, together, smallest, plan.contextTokens());
    }
    remedies.add(raiseLimit(options, plan));
    return remedies;
  }

  private static String join(String before, String text) {
    return before.isEmpty() ? text : before + "." + text;
  }

  private Remedy remedy(String text, LoadOptions changed) {
    MemoryPlan plan = compute(changed, List.of());
    return new Remedy(text, changed, plan.totalBytes(), plan.fits());
  }

  /** Adds the largest context that fits, if any does. */
  private void addContext(
      List<Remedy> remedies, String before, LoadOptions options, int contextTokens) {
    int low = 0;
    int high = contextTokens / SMALLEST_CONTEXT;
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (compute(options.contextTokens(middle * SMALLEST_CONTEXT), List.of()).fits()) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    int tokens = low * SMALLEST_CONTEXT;
    if (low > 0 && tokens < contextTokens) {
      remedies.add(
          remedy(join(before, "contextTokens(" + tokens + ")"), options.contextTokens(tokens)));
    }
  }

  /** Raises the budget where the machine has the memory; else names the memory that is wanted. */
  private Remedy raiseLimit(LoadOptions options, MemoryPlan plan) {
    long wanted = plan.totalBytes();
    long mebibytes = Math.ceilDiv(wanted, 1L << 20);
    if (options.memoryBudget() != null && mebibytes << 20 <= machine.bytes()) {
      return remedy(
          "memoryBudget(Bytes.mib(" + mebibytes + "))", options.memoryBudget(Bytes.mib(mebibytes)));
    }
    String text = "run where " + Bytes.of(wanted) + " are available";
    return new Remedy(text, null, wanted, false);
  }
}
