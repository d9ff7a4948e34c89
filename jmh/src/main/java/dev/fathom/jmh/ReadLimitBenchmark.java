package dev.fathom.jmh;

import dev.fathom.backend.LargePageArena;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import jdk.incubator.vector.LongVector;
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

/** How fast the threads together read 2 GiB from memory: the limit of decoding. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 1, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Fork(
    value = 1,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class ReadLimitBenchmark {

  /** Threads, 0 for one a processor. */
  @Param({"0"})
  public int threads = 0;

  private static final long BYTES = 1L << 31;
  private static final VectorSpecies<Long> SPECIES = LongVector.SPECIES_PREFERRED;

  private final Arena arena = LargePageArena.open();
  private LimitTeam team;
  private MemorySegment[] parts;

  /** Allocates the buffer, which writes all of it. */
  @Setup(Level.Trial)
  public void allocate() {
    team = new LimitTeam(threads);
    parts = new MemorySegment[team.size()];
    long stride = 4L * SPECIES.vectorByteSize();
    for (int i = 0; i < parts.length; i++) {
      parts[i] = arena.allocate(BYTES / parts.length / stride * stride, 64);
    }
  }

  /** Reads everything once. */
  @Benchmark
  public double step(Work work) throws InterruptedException, ExecutionException {
    work.bytes += (double) parts[0].byteSize() * parts.length;
    return team.run(part -> (double) read(parts[part]));
  }

  /** Four runs of memory at a time: the processor fetches several better than one. */
  private static long read(MemorySegment part) {
    long width = SPECIES.vectorByteSize();
    long quarter = part.byteSize() / 4;
    LongVector a = LongVector.zero(SPECIES);
    LongVector b = a;
    LongVector c = a;
    LongVector d = a;
    for (long at = 0; at < quarter; at += width) {
      a = a.lanewise(VectorOperators.XOR, load(part, at));
      b = b.lanewise(VectorOperators.XOR, load(part, at + quarter));
      c = c.lanewise(VectorOperators.XOR, load(part, at + 2 * quarter));
      d = d.lanewise(VectorOperators.XOR, load(part, at + 3 * quarter));
    }
    LongVector all = a.lanewise(VectorOperators.XOR, b).lanewise(VectorOperators.XOR, c);
    return all.lanewise(VectorOperators.XOR, d).reduceLanes(VectorOperators.XOR);
  }

  private static LongVector load(MemorySegment part, long at) {
    return LongVector.fromMemorySegment(SPECIES, part, at, ByteOrder.LITTLE_ENDIAN);
  }

  @TearDown(Level.Trial)
  public void close() {
    team.close();
    arena.close();
  }
}
