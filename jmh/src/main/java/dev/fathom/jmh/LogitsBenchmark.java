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

/** The head: as many wanted rows as tokens, times [V, C]. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class LogitsBenchmark {

  /** Whose shapes. */
  @Param({"V2_LITE", "V3", "QWEN2_1_5B"})
  public ModelShape model = ModelShape.V2_LITE;

  /** Format of the weights. */
  @Param({"BF16", "FP8_E4M3", "INT8", "INT4"})
  public WeightFormat format = WeightFormat.BF16;

  /** Tokens of a step. */
  @Param({"1", "8"})
  public int tokens = 1;

  /** Threads, 0 for the backend's own choice. */
  @Param({"0"})
  public int threads = 0;

  private static final String HEAD = "lm_head";

  private KernelSteps steps;
  private Cost cost;

  @Setup(Level.Trial)
  public void load() {
    Sequences sequences = new Sequences(1, tokens, tokens, tokens);
    steps = new KernelSteps(program(), sequences, KvFormat.F32, threads);
    double elements = (double) model.vocabSize() * model.hiddenSize();
    cost = Cost.streamed(steps.weightBytes(HEAD), 2 * elements * tokens);
  }

  Program program() {
    ProgramBuilder g = new ProgramBuilder("logits");
    Value x = KernelSteps.input(g, g.tokens(), model.hiddenSize());
    WeightRef head = new WeightRef(HEAD, List.of(model.vocabSize(), model.hiddenSize()), format);
    g.output(Program.LOGITS, g.logits(x, head));
    return g.build();
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
