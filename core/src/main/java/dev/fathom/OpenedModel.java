package dev.fathom;

import dev.fathom.arch.Architecture;
import dev.fathom.arch.Architectures;
import dev.fathom.arch.CustomArchitecture;
import dev.fathom.backend.Backend;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.ProgramSet;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.engine.EngineOptions;
import dev.fathom.engine.SchedulingOptions;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.kvcache.GroupPool;
import dev.fathom.kvcache.KvGroup;
import dev.fathom.kvcache.KvGroups;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A checkpoint whose headers were read and whose program was described; no weight was read.
 *
 * @param checkpoint the files
 * @param architecture the family
 * @param catalog the weights
 * @param program one step
 * @param drafts draft programs that are loaded beside it
 * @param maxContextTokens longest sequence that the configuration allows
 */
record OpenedModel(
    Checkpoint checkpoint,
    Architecture architecture,
    CheckpointWeights catalog,
    Program program,
    List<Program> drafts,
    int maxContextTokens) {

  /** Most floats of the logits of a step beyond one row a sequence: 64 MiB. */
  private static final int MAX_LOGITS = 1 << 24;

  private static final int[] BLOCK_TOKENS = {32, 64, 16, 128, 1};

  static OpenedModel open(Path path, LoadOptions options) {
    Checkpoint checkpoint = Checkpoint.open(path);
    Architecture architecture = architecture(checkpoint, options.architecture());
    CheckpointWeights catalog = new CheckpointWeights(checkpoint, options.weights());
    return new OpenedModel(
        checkpoint,
        architecture,
        catalog,
        architecture.program(checkpoint.config(), catalog, options.compatibility()),
        options.speculation().usesModule()
            ? List.of(module(path, architecture, checkpoint, catalog, options))
            : List.of(),
        architecture.maxContextTokens(checkpoint.config()));
  }

  private static Architecture architecture(
      Checkpoint checkpoint, @Nullable CustomArchitecture custom) {
    boolean isCustom = custom != null && custom.modelType().equals(checkpoint.config().modelType());
    return custom != null && isCustom ? custom : Architectures.forConfig(checkpoint.config());
  }

  /** Returns the name of the output that is the input of the head, or null. */
  @Nullable String hiddenOutput() {
    return program.ops().stream()
        .filter(op -> op instanceof Op.Logits)
        .flatMap(op -> op.operands().stream())
        .flatMap(head ->
            program.outputs().entrySet().stream()
                .filter(output -> output.getValue().equals(head))
                .map(Map.Entry::getKey))
        .findFirst()
        .orElse(null);
  }

  /** Returns the outputs that steps keep: logits, and hidden states where they have a name. */
  Set<String> outputs() {
    String hidden = hiddenOutput();
    return hidden == null ? Set.of(Program.LOGITS) : Set.of(Program.LOGITS, hidden);
  }

  /** Describes the first module of multi-token prediction; further guesses continue its states. */
  private static Program module(
      Path path,
      Architecture architecture,
      Checkpoint checkpoint,
      CheckpointWeights catalog,
      LoadOptions options) {
    List<Program> modules =
        architecture.mtpPrograms(checkpoint.config(), catalog, options.compatibility());
    if (modules.isEmpty()) {
      throw Checks.invalid(
          "The checkpoint "
              + Text.quote(path.toString())
              + " has no module of multi-token prediction",
          "must be stored beside the layers: speculation=" + options.speculation(),
          "leave speculation out, set it to Speculation.ngram(4), or use the checkpoint as it was"
              + " published");
    }
    return modules.getFirst();
  }

  /** Returns the main program and its drafts. */
  ProgramSet programs() {
    return new ProgramSet(Stream.concat(Stream.of(program), drafts.stream()).toList());
  }

  /** Returns the capacities that options ask for, with defaults filled in. */
  EngineOptions capacities(LoadOptions options, Backend backend) {
    int context = contextTokens(options);
    int sequences = options.maxSequences();
    int stepTokens = Math.max(options.prefillChunkTokens(), sequences);
    int rows = Math.min(stepTokens, MAX_LOGITS / program.vocabSize());
    int chunk = options.prefillChunkTokens();
    List<GroupPool> pools = pools(options, blockTokens(options, backend), context, chunk);
    return new EngineOptions(
        context,
        sequences,
        options.prefillChunkTokens(),
        stepTokens,
        Math.max(rows, sequences),
        pools,
        options.maxQueuedRequests(),
        program.vocabSize(),
        scheduling(options));
  }

  private static SchedulingOptions scheduling(LoadOptions options) {
    return new SchedulingOptions(
        options.reserveKvCache()
            ? SchedulingOptions.Admission.RESERVE
            : SchedulingOptions.Admission.OVERCOMMIT,
        options.prefixCache()
            ? SchedulingOptions.PrefixCache.ON
            : SchedulingOptions.PrefixCache.OFF,
        options.longPromptTokens(),
        SchedulingOptions.DEFAULT.watermarkPermille());
  }

  /**
   * So many blocks that every sequence can have a full context, or as many tokens as the options
   * say, and one more to copy to. A window has its blocks twice, so that ends of prefixes stay.
   */
  private List<GroupPool> pools(LoadOptions options, int blockTokens, int context, int chunk) {
    int wanted = options.kvCacheTokens();
    if (wanted > 0) {
      Checks.inRange("kvCacheTokens", wanted, context, Integer.MAX_VALUE);
    }
    List<GroupPool> pools = new ArrayList<>();
    for (KvGroup group : KvGroups.of(programs().kvSpecs())) {
      GroupPool one = new GroupPool(group.blockSpan(blockTokens), group.windowTokens(), 1);
      int most = one.mostBlocks(context, chunk);
      long blocks = (long) most * options.maxSequences() * (one.isWindowed() ? 2 : 1);
      if (wanted > 0 && !one.isWindowed()) {
        blocks = Math.min(blocks, one.blocks(wanted));
      }
      pools.add(one.withBlocks(Math.toIntExact(blocks + 1)));
    }
    return List.copyOf(pools);
  }

  private int contextTokens(LoadOptions options) {
    if (options.contextTokens() == 0) {
      return Math.min(maxContextTokens, LoadOptions.DEFAULT_CONTEXT_TOKENS);
    }
    return Checks.inRange("contextTokens", options.contextTokens(), 2, maxContextTokens);
  }

  static int blockTokens(LoadOptions options, Backend backend) {
    int wanted = options.kvBlockTokens();
    if (wanted > 0) {
      if (!backend.supportsBlockTokens(wanted)) {
        throw new BackendException(
            ErrorCode.BACKEND_UNSUPPORTED,
            "The backend " + backend.name() + " does not support this size of KV blocks",
            "must be a size it supports: kvBlockTokens=" + wanted,
            "leave kvBlockTokens out, or set it to " + firstSupported(backend));
      }
      return wanted;
    }
    return firstSupported(backend);
  }

  private static int firstSupported(Backend backend) {
    for (int candidate : BLOCK_TOKENS) {
      if (backend.supportsBlockTokens(candidate)) {
        return candidate;
      }
    }
    throw new BackendException(
        ErrorCode.BACKEND_UNSUPPORTED,
        "The backend " + backend.name() + " supports no known size of KV blocks",
        "tried 1, 16, 32, 64 and 128",
        "set kvBlockTokens to a size it supports");
  }

  /** Returns what the backend compiles for. */
  CompileOptions compileOptions(EngineOptions capacities, LoadOptions options, Backend backend) {
    int blockTokens = blockTokens(options, backend);
    return new CompileOptions(
        capacities.stepTokens(),
        capacities.maxSequences(),
        capacities.maxRows(),
        blockTokens,
        capacities.pools().stream().map(GroupPool::numBlocks).toList(),
        Math.ceilDiv(capacities.contextTokens(), blockTokens),
        options.kvCache(),
        LatentForm.AUTO,
        outputs());
  }
}
