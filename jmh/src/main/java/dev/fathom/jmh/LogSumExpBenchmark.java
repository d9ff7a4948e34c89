package dev.fathom.jmh;

import dev.fathom.cpu.kernel.LogSumExp;
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

/**
 * The largest of the logits over the vocabulary and the log-sum of their exponentials in pieces of
 * 1,024, on the thread of the caller; in a step the threads share out the pieces.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class LogSumExpBenchmark {

  /** Whose shapes. */
  @Param({"V2_LITE", "V3", "QWEN2_1_5B"})
  public ModelShape model = ModelShape.V2_LITE;

  private static final int PIECE = 1024;

  private final double[] scratch = new double[LogSumExp.scratchLen()];
  private float[] logits;
  private Cost cost;

  @Setup(Level.Trial)
  public void load() {
    Random random = new Random(3);
    logits = new float[model.vocabSize()];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) (2 * random.nextGaussian());
    }
    cost = Cost.cached((double) Float.BYTES * logits.length);
  }

  /** Reduces one row. */
  @Benchmark
  public double step(Work work) {
    work.add(cost);
    double sum = 0;
    for (int i = 0; i < logits.length; i += PIECE) {
      int n = Math.min(PIECE, logits.length - i);
      float most = LogSumExp.largest(logits, i, n);
      sum += LogSumExp.sum(logits, i, n, most, scratch);
    }
    return sum;
  }
}
