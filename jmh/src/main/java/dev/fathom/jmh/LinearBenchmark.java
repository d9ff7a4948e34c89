package dev.fathom.jmh;

import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.Int4Layout;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.Mxfp4Layout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
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
 * Steps through a chain of linears [2048, 2048] of different weights, together larger than any
 * cache, so that the weights come from memory as in a decode step. The counter {@code weightMb}
 * gives megabytes (10^6) of weights a second; divided by {@code callerCpuMs} it gives gigabytes a
 * second of processor time, which means something for one thread.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 3)
@Measurement(iterations = 5, time = 2)
@Fork(value = 1, jvmArgs = "--add-modules=jdk.incubator.vector")
public class LinearBenchmark {

  private static final int WIDTH = 2048;
  private static final int NUM_LINEARS = 24;
  private static final int VOCAB = 16;
  private static final RowSampler TAKE_ZERO =
      (rows, row, logits, offset, vocabSize, out) -> out.set(row, 0, 0f);

  /** Name of the backend. */
  @Param({"reference", "cpu"})
  public String backend = "cpu";

  /** Format of the weights. */
  @Param({"F32", "BF16", "F16", "FP8_E4M3", "INT8", "INT4", "MXFP4"})
  public WeightFormat format = WeightFormat.BF16;

  /** Tokens of a step. */
  @Param({"1", "4", "32"})
  public int tokens = 1;

  /** Threads, 0 for the backend's choice. */
  @Param({"1", "2"})
  public int threads = 1;

  private final ThreadMXBean cpuTime = ManagementFactory.getThreadMXBean();
  private final Arena arena = Arena.ofShared();
  private Backend running;
  private Executable executable;
  private StepBatch batch;
  private SamplingRows rows;
  private long weightBytes;

  /** What a step used. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Counters {
    /** Megabytes, 10^6. */
    public double weightMb;

    /** Milliseconds of processor time of the calling thread: says more on a busy machine. */
    public double callerCpuMs;
  }

  @Setup(Level.Trial)
  public void load() {
    Program program = program();
    running = provider().create(threads);
    Map<String, PlacedWeight> placed = new HashMap<>();
    Random random = new Random(1);
    for (WeightRef ref : program.weights()) {
      WeightMatrix matrix = random(ref, random);
      weightBytes += matrix.bytes();
      placed.put(ref.name(), running.place(ref, matrix));
    }
    CompileOptions options =
        new CompileOptions(
            tokens, 1, 1, 64, 1, 1, KvFormat.F32, LatentForm.AUTO, Set.of(Program.LOGITS));
    executable = running.compile(List.of(program), new PlacedWeights(placed), options);
    batch = executable.newBatch();
    batch.clear();
    batch.addSequence(StepBatch.NO_ADAPTER, 1);
    for (int t = 0; t < tokens; t++) {
      batch.addToken(t % VOCAB, t);
    }
    rows = new SamplingRows(1);
    rows.addGreedy();
  }

  private BackendProvider provider() {
    return ServiceLoader.load(BackendProvider.class).stream()
        .map(ServiceLoader.Provider::get)
        .filter(p -> p.name().equals(backend))
        .findFirst()
        .orElseThrow();
  }

  private Program program() {
    ProgramBuilder g = new ProgramBuilder("linears");
    Value h = g.embed(g.tokens(), ref("embed", VOCAB, WeightFormat.F32));
    for (int i = 0; i < NUM_LINEARS; i++) {
      h = g.linear(h, ref("linear." + i, WIDTH, format));
    }
    g.output(Program.LOGITS, g.logits(h, ref("head", VOCAB, WeightFormat.F32)));
    return g.build();
  }

  private static WeightRef ref(String name, int rows, WeightFormat format) {
    return new WeightRef(name, List.of(rows, WIDTH), format);
  }

  private WeightMatrix random(WeightRef ref, Random random) {
    long elements = (long) ref.rows() * ref.cols();
    MemorySegment data = arena.allocate(ref.format().bytes(elements), 64);
    for (long i = 0; i < elements && ref.format().isDense(); i++) {
      // About +-0.03, which keeps the size of the activations through a layer.
      float value = (random.nextFloat() - 0.5f) * 0.075f;
      switch (ref.format()) {
        case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        case F16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(value));
        default ->
            data.setAtIndex(
                ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
      }
    }
    if (ref.format().isDense()) {
      return WeightMatrix.dense(ref.format(), ref.rows(), ref.cols(), data);
    }
    for (long i = 0; i < data.byteSize(); i++) {
      // 0xB7 leaves out the large exponents of E4M3 and with them NaN.
      int mask = ref.format() == WeightFormat.FP8_E4M3 ? 0xB7 : 0xFF;
      data.set(ValueLayout.JAVA_BYTE, i, (byte) (random.nextInt() & mask));
    }
    return scaled(ref, data);
  }

  private WeightMatrix scaled(WeightRef ref, MemorySegment data) {
    int rows = ref.rows();
    int cols = ref.cols();
    return switch (ref.format()) {
      case INT8 -> {
        Int8Layout layout = Int8Layout.perChannel(rows, cols, WeightFormat.F32);
        MemorySegment scales = floats(layout.scaleBytes(), 0.0003f);
        yield WeightMatrix.int8(layout, data, scales, null, null);
      }
      case INT4 -> {
        Int4Layout layout = new Int4Layout(rows, cols, 32, WeightFormat.F32);
        MemorySegment scales = floats(layout.scaleBytes(), 0.005f);
        yield WeightMatrix.int4(layout, data, scales, null, null);
      }
      case MXFP4 -> {
        Mxfp4Layout layout = new Mxfp4Layout(rows, cols);
        MemorySegment scales = arena.allocate(layout.scaleBytes(), 64).fill((byte) 120);
        yield WeightMatrix.mxfp4(layout, data, scales);
      }
      default -> {
        BlockScaleLayout layout = BlockScaleLayout.square(rows, cols, 128);
        yield WeightMatrix.blockFp8(layout, data, floats(layout.scaleBytes(), 0.05f));
      }
    };
  }

  private MemorySegment floats(long bytes, float value) {
    MemorySegment floats = arena.allocate(bytes, 64);
    for (long i = 0; i < bytes / Float.BYTES; i++) {
      floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
    }
    return floats;
  }

  /** Runs one step. */
  @Benchmark
  public int step(Counters counters) {
    long before = cpuTime.getCurrentThreadCpuTime();
    executable.submit(batch, rows, TAKE_ZERO).await();
    counters.callerCpuMs += (cpuTime.getCurrentThreadCpuTime() - before) / 1e6;
    counters.weightMb += weightBytes / 1e6;
    return tokens;
  }

  @TearDown(Level.Trial)
  public void close() {
    executable.close();
    running.close();
    arena.close();
  }
}
