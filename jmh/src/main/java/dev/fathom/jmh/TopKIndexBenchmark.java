package dev.fathom.jmh;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvLayout;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
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
 * The lightning indexer of V3.2 over a context longer than what it keeps: up to 16 tokens each end
 * a sequence of their own; more are the last chunk of one prompt.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class TopKIndexBenchmark {

  /** Whose shapes. */
  @Param({"V3"})
  public ModelShape model = ModelShape.V3;

  /** Format of the cache. */
  @Param({"F32", "BF16", "FP8_E4M3", "FP8_E5M2"})
  public KvFormat kv = KvFormat.BF16;

  /** Tokens of a step. */
  @Param({"1", "8", "256"})
  public int tokens = 1;

  /** Tokens of a sequence, those of the step included. */
  @Param({"8192"})
  public int context = 8192;

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

  private List<KvSpec.IndexerKeys> caches() {
    List<KvSpec.IndexerKeys> caches = new ArrayList<>();
    for (int i = 0; i < numLayers(); i++) {
      caches.add(cache(i));
    }
    return caches;
  }

  private KvSpec.IndexerKeys cache(int layer) {
    return new KvSpec.IndexerKeys(layer, model.indexer().indexHeadDim());
  }

  private long layerBytes() {
    return new KvLayout(cache(0), kv, 1).bytesPerToken() * sequences().cached();
  }

  private double layerFlops() {
    ModelShape.Indexer c = model.indexer();
    return 2.0 * c.indexNumHeads() * c.indexHeadDim() * sequences().attended();
  }

  Program program() {
    ModelShape.Indexer c = model.indexer();
    ProgramBuilder g = new ProgramBuilder("topKIndex");
    Value row = KernelSteps.input(g, g.tokens(), c.indexNumHeads() * c.indexHeadDim());
    Value query = g.reshape(row, c.indexNumHeads(), c.indexHeadDim());
    Value headWeights = g.slice(row, 0, c.indexNumHeads());
    Value key = g.slice(row, 0, c.indexHeadDim());
    for (int i = 0; i < numLayers(); i++) {
      g.storeKv(cache(i), key);
      g.topKIndex(query, headWeights, cache(i), 1, c.indexTopK());
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
