package dev.fathom.jmh;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.moe.RouterSpec;
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

/** Routers of many layers: scores of all experts and the choice among them. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class RouteBenchmark {

  /** Whose shapes. */
  @Param({"V2_LITE", "V3"})
  public ModelShape model = ModelShape.V2_LITE;

  /** Format of the weights. */
  @Param({"F32", "BF16"})
  public WeightFormat format = WeightFormat.F32;

  /** Tokens of a step. */
  @Param({"1", "8", "256"})
  public int tokens = 1;

  /** Threads, 0 for the backend's own choice. */
  @Param({"0"})
  public int threads = 0;

  private static final String PREFIX = "router.";

  private KernelSteps steps;
  private Cost cost;

  @Setup(Level.Trial)
  public void load() {
    Sequences sequences = Sequences.of(tokens);
    steps = new KernelSteps(program(), sequences, KvFormat.F32, threads);
    double elements = (double) model.experts().router().numExperts() * model.hiddenSize();
    cost = Cost.streamed(steps.weightBytes(PREFIX), 2 * elements * numLayers() * tokens);
  }

  private int numLayers() {
    long elements = (long) model.experts().router().numExperts() * model.hiddenSize();
    return KernelSteps.numLayers(format.bytes(elements), 2.0 * elements * tokens);
  }

  Program program() {
    RouterSpec router = model.experts().router();
    ProgramBuilder g = new ProgramBuilder("route");
    Value x = KernelSteps.input(g, g.tokens(), model.hiddenSize());
    for (int i = 0; i < numLayers(); i++) {
      List<Integer> shape = List.of(router.numExperts(), model.hiddenSize());
      g.route(x, new WeightRef(PREFIX + i, shape, format), null, router);
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
