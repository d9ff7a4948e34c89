package dev.fathom.jmh;

import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.Executable;
import dev.fathom.backend.LargePageArena;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;

/**
 * A program of one kernel on the CPU backend, and steps of it that differ in their tokens.
 *
 * <p>Owns the weights, the executable and the backend with its threads.
 */
final class KernelSteps implements AutoCloseable {

  /** Bytes of weights and caches that are more than a processor caches. */
  private static final long STREAMED_BYTES = 384L << 20;

  /** Arithmetic that takes so long that nobody cares what is cached. */
  private static final double LONG_FLOPS = 4e9;

  private static final int NUM_BATCHES = 32;
  private static final int HEAD_COLS = 16;
  private static final RowSampler TAKE_ZERO =
      (rows, row, logits, offset, vocabSize, out) -> out.set(row, 0, 0f);

  private final Arena arena = LargePageArena.open();
  private final Backend backend;
  private final Executable executable;
  private final StepBatch[] batches = new StepBatch[NUM_BATCHES];
  private final SamplingRows rows;
  private final Map<String, Long> weightBytes = new HashMap<>();
  private int next;

  /**
   * Places random weights and compiles.
   *
   * @param program with tokens as its input
   * @param sequences of each step
   * @param kvFormat of the caches
   * @param threads of the backend, 0 for its own choice
   */
  KernelSteps(Program program, Sequences sequences, KvFormat kvFormat, int threads) {
    backend = provider().create(threads);
    PlacedWeights weights = place(program);
    executable = backend.compile(List.of(program), weights, sequences.options(kvFormat));
    for (int i = 0; i < NUM_BATCHES; i++) {
      batches[i] = executable.newBatch();
      sequences.fill(batches[i], executable.numKvGroups(), i * 7);
    }
    rows = new SamplingRows(batches[0].numRows());
    for (int row = 0; row < batches[0].numRows(); row++) {
      rows.addGreedy();
    }
  }

  private static BackendProvider provider() {
    return ServiceLoader.load(BackendProvider.class).stream()
        .map(ServiceLoader.Provider::get)
        .filter(p -> p.name().equals("cpu"))
        .findFirst()
        .orElseThrow();
  }

  private PlacedWeights place(Program program) {
    RandomWeights random = new RandomWeights();
    Map<String, PlacedWeight> placed = new HashMap<>();
    for (WeightRef ref : program.weights()) {
      if (backend.keepsSource(ref)) {
        placed.put(ref.name(), place(ref, random, arena));
        continue;
      }
      try (Arena source = Arena.ofShared()) {
        placed.put(ref.name(), place(ref, random, source));
      }
    }
    return new PlacedWeights(placed);
  }

  private PlacedWeight place(WeightRef ref, RandomWeights random, Arena source) {
    WeightMatrix matrix = random.matrix(ref, source);
    weightBytes.put(ref.name(), matrix.bytes());
    return backend.place(ref, matrix);
  }

  Executable executable() {
    return executable;
  }

  int numBatches() {
    return NUM_BATCHES;
  }

  /** Returns the stored bytes, scales included, of all weights whose name begins so. */
  long weightBytes(String prefix) {
    return weightBytes.entrySet().stream()
        .filter(e -> e.getKey().startsWith(prefix))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /** Runs the next step and returns the index of its batch. */
  int run() {
    int index = next;
    next = index + 1 == NUM_BATCHES ? 0 : index + 1;
    executable.submit(batches[index], rows, TAKE_ZERO).await();
    return index;
  }

  /**
   * Returns how many layers a program needs so that they come from memory in each step, or so that
   * arithmetic takes much longer than reading.
   *
   * @param bytes that a layer reads
   * @param flops that a layer computes
   */
  static int numLayers(double bytes, double flops) {
    return (int)
        Math.clamp(Math.ceil(Math.min(STREAMED_BYTES / bytes, LONG_FLOPS / flops)), 1, 512);
  }

  /** Looks a vector up for each token: the input of the kernel. */
  static Value input(ProgramBuilder g, Value tokens, int width) {
    String name = "input." + width;
    return g.embed(tokens, new WeightRef(name, List.of(Sequences.VOCAB, width), WeightFormat.F32));
  }

  /** Ends a program that is not about its logits, which see little of hidden. */
  static Program end(ProgramBuilder g, Value hidden) {
    WeightRef head = new WeightRef("head", List.of(Sequences.VOCAB, HEAD_COLS), WeightFormat.F32);
    g.output(Program.LOGITS, g.logits(g.slice(hidden, 0, HEAD_COLS), head));
    return g.build();
  }

  @Override
  public void close() {
    executable.close();
    backend.close();
    arena.close();
  }
}
