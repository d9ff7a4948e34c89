package dev.fathom.jmh;

import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.SamplingRows;
import dev.fathom.sampling.HostSampler;
import java.util.Random;
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
import org.openjdk.jmh.annotations.Warmup;

/** Sampling from one row of logits over the vocabulary, on the thread of the caller. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class HostSamplerBenchmark {

  /** Whose shapes. */
  @Param({"V2_LITE", "V3", "QWEN2_1_5B"})
  public ModelShape model = ModelShape.V2_LITE;

  /** How a token is chosen. */
  @Param({"GREEDY", "TEMPERATURE", "TOP_K", "TOP_P"})
  public Choice choice = Choice.GREEDY;

  /** The settings that decide how much work there is. */
  public enum Choice {
    /** The most probable token. */
    GREEDY(params(0, 0, 1)),
    /** All tokens by their probability. */
    TEMPERATURE(params(0.6f, 0, 1)),
    /** The best 50. */
    TOP_K(params(0.6f, 50, 1)),
    /** The most probable that reach 0.95: DeepSeek-R1's setting. */
    TOP_P(params(0.6f, 0, 0.95f));

    private final SamplingParams params;

    Choice(SamplingParams params) {
      this.params = params;
    }

    SamplingParams params() {
      return params;
    }

    private static SamplingParams params(float temperature, int topK, float topP) {
      return new SamplingParams(temperature, topK, topP, 0, 1, 0, 0, 4, 0, false, null);
    }
  }

  private final HostSampler sampler = new HostSampler();
  private final SamplingRows rows = new SamplingRows(1);
  private final SampledRows sampled = new SampledRows(1, 0);
  private float[] logits;
  private Cost cost;

  @Setup(Level.Trial)
  public void load() {
    Random random = new Random(3);
    logits = new float[model.vocabSize()];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) (2 * random.nextGaussian());
    }
    rows.add(choice.params(), 0, null, null);
    cost = Cost.cached((double) Float.BYTES * logits.length);
  }

  /** Samples one token. */
  @Benchmark
  public int step(Work work) {
    work.add(cost);
    sampler.sample(rows, 0, logits, 0, logits.length, sampled);
    return sampled.token(0);
  }
}
