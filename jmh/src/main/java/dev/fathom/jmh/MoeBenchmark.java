package dev.fathom.jmh;

import dev.fathom.backend.ExpertLoads;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Expert;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.ArrayList;
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
 * The routed experts of a layer with their router, in steps of different tokens, so that one token
 * finds its experts in memory. Where all experts of a layer are more than 3 GiB, several share
 * their weights, far enough from each other that none is in the cache.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class MoeBenchmark {

  /** Whose shapes. */
  @Param({"V2_LITE", "V3"})
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

  private static final String PREFIX = "expert.";
  private static final String ROUTER = "router";
  private static final long MOST_BYTES = 3L << 30;

  private KernelSteps steps;
  private Cost[] costs;
  private double expertBytes;

  @Setup(Level.Trial)
  public void load() {
    steps = new KernelSteps(program(), Sequences.of(tokens), KvFormat.F32, threads);
    expertBytes = (double) steps.weightBytes(PREFIX) / distinctExperts();
    costs = new Cost[steps.numBatches()];
    ExpertLoads.Layer layer = steps.executable().expertLoads().layers().getFirst();
    long[] before = layer.tokens();
    for (int i = 0; i < costs.length; i++) {
      int batch = steps.run();
      long[] after = layer.tokens();
      costs[batch] = cost(before, after);
      before = after;
    }
  }

  private Cost cost(long[] before, long[] after) {
    long assigned = 0;
    int active = 0;
    for (int e = 0; e < after.length; e++) {
      assigned += after[e] - before[e];
      active += after[e] > before[e] ? 1 : 0;
    }
    return Cost.streamed(
        active * expertBytes + steps.weightBytes(ROUTER), 2.0 * assigned * expertElements());
  }

  private long expertElements() {
    return 3L * model.hiddenSize() * model.experts().moeIntermediateSize();
  }

  private int distinctExperts() {
    long fit = Math.max(1, MOST_BYTES / format.bytes(expertElements()));
    return Math.toIntExact(Math.min(model.experts().router().numExperts(), fit));
  }

  Program program() {
    int hidden = model.hiddenSize();
    RouterSpec router = model.experts().router();
    ProgramBuilder g = new ProgramBuilder("moe");
    Value x = KernelSteps.input(g, g.tokens(), hidden);
    WeightRef gate = new WeightRef(ROUTER, List.of(router.numExperts(), hidden), WeightFormat.F32);
    List<Expert> experts = new ArrayList<>();
    for (int e = 0; e < router.numExperts(); e++) {
      experts.add(expert(e % distinctExperts()));
    }
    return KernelSteps.end(g, g.moe(x, g.route(x, gate, null, router), experts));
  }

  private Expert expert(int e) {
    int hidden = model.hiddenSize();
    int intermediate = model.experts().moeIntermediateSize();
    String at = PREFIX + e;
    return new Expert(
        new WeightRef(at + ".gate", List.of(intermediate, hidden), format),
        new WeightRef(at + ".up", List.of(intermediate, hidden), format),
        new WeightRef(at + ".down", List.of(hidden, intermediate), format));
  }

  /** Runs one step. */
  @Benchmark
  public int step(Work work) {
    int batch = steps.run();
    work.add(costs[batch]);
    return batch;
  }

  @TearDown(Level.Trial)
  public void close() {
    steps.close();
  }
}
