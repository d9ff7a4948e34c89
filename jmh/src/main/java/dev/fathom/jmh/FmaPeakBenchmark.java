package dev.fathom.jmh;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
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

/** Most float32 multiplications and additions of the threads together, without any memory. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 1, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Fork(
    value = 1,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class FmaPeakBenchmark {

  /** Threads, 0 for one a processor. */
  @Param({"0"})
  public int threads = 0;

  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
  private static final int ROUNDS = 1 << 20;
  private static final int SUMS = 12;

  /** Keeps the sums finite and the compiler from knowing the numbers. */
  public float factor = 0.5f;

  private LimitTeam team;

  @Setup(Level.Trial)
  public void start() {
    team = new LimitTeam(threads);
  }

  /** Computes for some milliseconds. */
  @Benchmark
  public double step(Work work) throws InterruptedException, ExecutionException {
    work.flops += 2.0 * ROUNDS * SUMS * SPECIES.length() * team.size();
    return team.run(part -> multiply(factor, part));
  }

  /** Twelve sums, so that the latency of an addition does not count. */
  private static float multiply(float factor, int part) {
    FloatVector x = FloatVector.broadcast(SPECIES, factor);
    FloatVector y = FloatVector.broadcast(SPECIES, part);
    FloatVector a = FloatVector.broadcast(SPECIES, 1f);
    FloatVector b = a;
    FloatVector c = a;
    FloatVector d = a;
    FloatVector e = a;
    FloatVector f = a;
    FloatVector g = a;
    FloatVector h = a;
    FloatVector i = a;
    FloatVector j = a;
    FloatVector k = a;
    FloatVector l = a;
    for (int round = 0; round < ROUNDS; round++) {
      a = x.fma(y, a);
      b = x.fma(y, b);
      c = x.fma(y, c);
      d = x.fma(y, d);
      e = x.fma(y, e);
      f = x.fma(y, f);
      g = x.fma(y, g);
      h = x.fma(y, h);
      i = x.fma(y, i);
      j = x.fma(y, j);
      k = x.fma(y, k);
      l = x.fma(y, l);
    }
    FloatVector low = a.add(b).add(c).add(d).add(e).add(f);
    return low.add(g).add(h).add(i).add(j).add(k).add(l).reduceLanes(VectorOperators.ADD);
  }

  @TearDown(Level.Trial)
  public void close() {
    team.close();
  }
}
