package dev.fathom.quantization;

import dev.fathom.backend.Backend;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.LargePageArena;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.backend.StepOutput;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.CheckpointReader;
import dev.fathom.checkpoint.MappedCheckpoint;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Runs a model on token sequences, one sequence a step, and keeps samples of activations.
 *
 * <p>The weights are placed for the time of the run: where the backend goes on reading its source
 * they are mapped, so that the system may drop their pages; else they are in memory once.
 */
final class Calibration {

  private static final int[] BLOCK_TOKENS = {32, 64, 16, 128, 1};
  private static final long ALIGNMENT = 64;

  private final Program program;
  private final Map<String, Value> taps = new LinkedHashMap<>();
  private final int most;
  private final PhaseClock clock;
  private int blockTokens = 1;

  /**
   * Prepares a run.
   *
   * @param values whose samples are wanted
   * @param most vectors to keep of each
   */
  Calibration(Program program, Collection<Value> values, int most, PhaseClock clock) {
    for (Value value : values) {
      taps.put("tap." + value.id(), value);
    }
    this.program = program.withOutputs(taps);
    this.most = most;
    this.clock = clock;
  }

  /** Runs the sequences, each of at least one token. */
  Map<Value, Samples> run(
      Checkpoint checkpoint, CheckpointWeights catalog, Backend backend, List<int[]> sequences) {
    try (Arena arena = Arena.ofShared();
        CheckpointReader reader = checkpoint.reader(bytes -> {})) {
      MappedCheckpoint mapped = new MappedCheckpoint(checkpoint.files(), arena);
      Map<String, PlacedWeight> placed = new HashMap<>();
      for (WeightRef weight : catalog.inFileOrder(program.weights())) {
        placed.put(weight.name(), place(weight, catalog, backend, mapped, reader, arena));
      }
      try (Executable executable =
          backend.compile(
              List.of(program), new PlacedWeights(placed), options(backend, sequences))) {
        return run(executable, sequences);
      }
    }
  }

  private static PlacedWeight place(
      WeightRef weight,
      CheckpointWeights catalog,
      Backend backend,
      MappedCheckpoint mapped,
      CheckpointReader reader,
      Arena arena) {
    if (backend.keepsSource(weight)) {
      return backend.place(
          weight, catalog.read(weight, (tensor, owner) -> mapped.segment(tensor), arena));
    }
    try (Arena temporary = LargePageArena.open()) {
      CheckpointWeights.Segments segments =
          (tensor, owner) -> {
            MemorySegment copy = owner.allocate(Math.max(1, tensor.byteLength()), ALIGNMENT);
            reader.read(tensor, copy.asSlice(0, tensor.byteLength()));
            return copy.asSlice(0, tensor.byteLength());
          };
      return backend.place(weight, catalog.read(weight, segments, temporary));
    }
  }

  private CompileOptions options(Backend backend, List<int[]> sequences) {
    int longest = sequences.stream().mapToInt(ids -> ids.length).max().orElse(1);
    for (int i = BLOCK_TOKENS.length - 1; i >= 0; i--) {
      blockTokens = backend.supportsBlockTokens(BLOCK_TOKENS[i]) ? BLOCK_TOKENS[i] : blockTokens;
    }
    int blocks = Math.ceilDiv(longest, blockTokens);
    return new CompileOptions(
        longest, 1, 1, blockTokens, blocks, blocks, KvFormat.F32, LatentForm.AUTO, taps.keySet());
  }

  private Map<Value, Samples> run(Executable executable, List<int[]> sequences) {
    long total = sequences.stream().mapToLong(ids -> ids.length).sum();
    Map<Value, Samples> samples = new HashMap<>();
    StepBatch batch = executable.newBatch();
    SamplingRows rows = new SamplingRows(1);
    clock.total(total);
    for (int[] ids : sequences) {
      fill(batch, executable.numKvGroups(), ids);
      rows.clear();
      rows.addGreedy();
      StepHandle handle = executable.submit(batch, rows, Calibration::ignore);
      handle.await();
      taps.forEach((name, value) -> {
        StepOutput output = handle.output(name);
        int width = value.shape().last();
        int perToken = value.shape().width() / width;
        samples
            .computeIfAbsent(value, v -> new Samples(width, total * perToken, most))
            .add(output.data(), output.numRows() * perToken);
      });
      clock.advance(ids.length);
    }
    return samples;
  }

  private void fill(StepBatch batch, int numGroups, int[] ids) {
    batch.clear();
    batch.addSequence(StepBatch.NO_ADAPTER, 1);
    int blocks = Math.ceilDiv(ids.length, blockTokens);
    for (int g = 0; g < numGroups; g++) {
      for (int b = 0; b < blocks; b++) {
        batch.addBlock(g, b);
      }
    }
    for (int i = 0; i < ids.length; i++) {
      batch.addToken(ids[i], i);
    }
  }

  private static void ignore(
      SamplingRows rows, int row, float[] logits, int offset, int vocabSize, SampledRows out) {
    out.set(row, 0, 0);
  }
}
