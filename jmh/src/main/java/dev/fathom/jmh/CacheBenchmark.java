package dev.fathom.jmh;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvLayout;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
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
 * A kernel that reads a paged cache: up to 16 tokens each end a sequence of their own, as in
 * decoding; more are the last chunk of one prompt.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public abstract class CacheBenchmark {

  /** Format of the cache. */
  @Param({"F32", "BF16", "FP8_E4M3", "FP8_E5M2"})
  public KvFormat kv = KvFormat.BF16;

  /** Tokens of a step. */
  @Param({"1", "8", "256"})
  public int tokens = 1;

  /** Threads, 0 for the backend's own choice. */
  @Param({"0"})
  public int threads = 0;

  private KernelSteps steps;
  private Cost cost;

  /** Returns the tokens of a sequence, those of the step included. */
  abstract int contextTokens();

  /** Returns the cache of a layer. */
  abstract KvSpec cache(int layer);

  /** Returns the operations of a layer in a step. */
  abstract double layerFlops();

  /** Returns the steps' program. */
  abstract Program program();

  /** Returns the bytes that a layer reads in a step. */
  long layerBytes() {
    return new KvLayout(cache(0), kv, 1).bytesPerToken() * sequences().cached();
  }

  final Sequences sequences() {
    return Sequences.attending(tokens, contextTokens());
  }

  final int numLayers() {
    return KernelSteps.numLayers(layerBytes(), layerFlops());
  }

  @Setup(Level.Trial)
  public void load() {
    Sequences sequences = sequences();
    steps = new KernelSteps(program(), sequences, kv, threads);
    List<KvSpec> caches = new ArrayList<>();
    for (int i = 0; i < numLayers(); i++) {
      caches.add(cache(i));
    }
    KvFill.fill(steps.executable(), caches, kv, sequences);
    cost = Cost.streamed((double) numLayers() * layerBytes(), numLayers() * layerFlops());
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
