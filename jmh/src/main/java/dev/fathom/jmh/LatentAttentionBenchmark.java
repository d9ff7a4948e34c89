package dev.fathom.jmh;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvLayout;
import dev.fathom.kvcache.KvSpec;
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
 * Absorbed latent attention over a paged cache, kv_b in bfloat16: up to 16 tokens each end a
 * sequence of their own, as in decoding; more are the last chunk of one prompt.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class LatentAttentionBenchmark {

  /** Whose shapes. */
  @Param({"V2_LITE", "V3"})
  public ModelShape model = ModelShape.V2_LITE;

  /** Format of the cache. */
  @Param({"F32", "BF16", "FP8_E4M3", "FP8_E5M2"})
  public KvFormat kv = KvFormat.BF16;

  /** Tokens of a step. */
  @Param({"1", "8", "256"})
  public int tokens = 1;

  /** Tokens of a sequence, those of the step included. */
  @Param({"256", "4096"})
  public int context = 4096;

  /** Threads, 0 for the backend's own choice. */
  @Param({"0"})
  public int threads = 0;

  private KernelSteps steps;
  private Cost cost;

  @Setup(Level.Trial)
  public void load() {
    Sequences sequences = sequences();
    steps = new KernelSteps(program(), sequences, kv, threads);
    KvFill.fill(steps.executable(), caches(), kv, sequences);
    cost = Cost.streamed((double) numLayers() * layerBytes(), numLayers() * layerFlops());
  }

  private Sequences sequences() {
    return Sequences.attending(tokens, context);
  }

  private int numLayers() {
    return KernelSteps.numLayers(layerBytes(), layerFlops());
  }

  private List<KvSpec.Latent> caches() {
    List<KvSpec.Latent> caches = new ArrayList<>();
    for (int i = 0; i < numLayers(); i++) {
      caches.add(cache(i));
    }
    return caches;
  }

  private KvSpec.Latent cache(int layer) {
    ModelShape.Latent c = model.latent();
    return new KvSpec.Latent(layer, c.kvLoraRank(), c.qkRopeHeadDim());
  }

  private WeightRef kvB(int layer) {
    ModelShape.Latent c = model.latent();
    int rows = c.numHeads() * (c.qkNopeHeadDim() + c.vHeadDim());
    return new WeightRef("kv_b." + layer, List.of(rows, c.kvLoraRank()), WeightFormat.BF16);
  }

  private long layerBytes() {
    WeightRef kvB = kvB(0);
    long row = new KvLayout(cache(0), kv, 1).bytesPerToken();
    return kvB.format().bytes((long) kvB.rows() * kvB.cols()) + row * sequences().cached();
  }

  /** Of absorbing and releasing each token's heads, and of scores and sums over what they see. */
  private double layerFlops() {
    ModelShape.Latent c = model.latent();
    double heads = (double) tokens * kvB(0).rows() * c.kvLoraRank();
    double position = c.numHeads() * (2.0 * c.kvLoraRank() + c.qkRopeHeadDim());
    return 2 * (heads + position * sequences().attended());
  }

  Program program() {
    ModelShape.Latent c = model.latent();
    int headDim = c.qkNopeHeadDim() + c.qkRopeHeadDim();
    ProgramBuilder g = new ProgramBuilder("latentAttention");
    Value row = KernelSteps.input(g, g.tokens(), c.numHeads() * headDim);
    Value query = g.reshape(row, c.numHeads(), headDim);
    Value latent = g.slice(row, 0, cache(0).elementsPerToken());
    for (int i = 0; i < numLayers(); i++) {
      g.storeKv(cache(i), latent);
      g.latentAttention(query, kvB(i), cache(i), c.qkNopeHeadDim(), 1 / Math.sqrt(headDim));
    }
    return KernelSteps.end(g, row);
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
