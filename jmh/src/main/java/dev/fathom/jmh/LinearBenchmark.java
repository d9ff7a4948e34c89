package dev.fathom.jmh;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The two kinds of matrices of a dense feed-forward layer, [M, C] and [C, M], by turns; together
 * larger than any cache, so that the weights come from memory as in decoding.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class LinearBenchmark {

  /** Whose shapes. */
  @Param({"V2_LITE", "V3", "QWEN2_1_5B"})
  public ModelShape model = ModelShape.V2_LITE;

  /** Format of the weights. */
  @Param({"F32", "BF16", "F16", "FP8_E4M3", "INT8", "INT4", "MXFP4"})
  public WeightFormat format = WeightFormat.BF16;

  /** Tokens of a step. */
  @Param({"1", "8", "256"})
  public int tokens = 1;

  /** Threads, 0 for the backend's own choice. */
  @Param({"0"})
  public int threads = 0;

  private static final String PREFIX = "linear.";

  private KernelSteps steps;
  private Cost cost;

  @Setup(Level.Trial)
  public void load() {
    Sequences sequences = Sequences.of(tokens);
    steps = new KernelSteps(program(), sequences, KvFormat.F32, threads);
    double elements = 2.0 * numPairs() * model.hiddenSize() * model.intermediateSize();
    cost = Cost.streamed(steps.weightBytes(PREFIX), 2 * elements * tokens);
  }

  private int numPairs() {
    long elements = 2L * model.hiddenSize() * model.intermediateSize();
    return KernelSteps.numLayers(format.bytes(elements), 2.0 * elements * tokens);
  }

  Program program() {
    int hidden = model.hiddenSize();
    int intermediate = model.intermediateSize();
    ProgramBuilder g = new ProgramBuilder("linear");
    Value ids = g.tokens();
    Value x = KernelSteps.input(g, ids, hidden);
    Value y = KernelSteps.input(g, ids, intermediate);
    for (int i = 0; i < numPairs(); i++) {
      g.linear(x, new WeightRef(PREFIX + i + ".up", List.of(intermediate, hidden), format));
      g.linear(y, new WeightRef(PREFIX + i + ".down", List.of(hidden, intermediate), format));
    }
    return KernelSteps.end(g, x);
  }

  /** Runs one step. */
  @Benchmark
  public int step(Work work) {
    work.add(cost);
    return steps.run();
  }

  @TearDown(Level.Trial)
  public void close() {
    steps.close();
  }
}
