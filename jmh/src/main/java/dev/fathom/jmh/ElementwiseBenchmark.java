package dev.fathom.jmh;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
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

/**
 * Kernels that treat each vector by itself, 32 of them a step on data that stay in the cache: the
 * norm and the sum over [T, C], the activation over [T, M], the rotation over all heads' queries.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(
    value = 3,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC"})
public class ElementwiseBenchmark {

  /** Whose shapes. */
  @Param({"V2_LITE", "V3", "QWEN2_1_5B"})
  public ModelShape model = ModelShape.V2_LITE;

  /** Which kernel. */
  @Param({"RMS_NORM", "ROPE", "SWI_GLU", "ADD"})
  public Kernel kernel = Kernel.RMS_NORM;

  /** Tokens of a step. */
  @Param({"1", "8", "256"})
  public int tokens = 1;

  /** Threads, 0 for the backend's own choice. */
  @Param({"0"})
  public int threads = 0;

  /** A kernel and how many vectors it reads and writes for one result. */
  public enum Kernel {
    /** Root-mean-square norm. */
    RMS_NORM(2),
    /** Rotary embedding. */
    ROPE(2),
    /** Gated activation. */
    SWI_GLU(3),
    /** Sum of two. */
    ADD(3);

    private final int vectorsMoved;

    Kernel(int vectorsMoved) {
      this.vectorsMoved = vectorsMoved;
    }

    int vectorsMoved() {
      return vectorsMoved;
    }
  }

  private static final int NUM_KERNELS = 32;

  private KernelSteps steps;
  private Cost cost;

  @Setup(Level.Trial)
  public void load() {
    steps = new KernelSteps(program(), Sequences.of(tokens), KvFormat.F32, threads);
    double elements = (double) NUM_KERNELS * tokens * width();
    cost = Cost.cached(elements * Float.BYTES * kernel.vectorsMoved());
  }

  private int width() {
    return switch (kernel) {
      case RMS_NORM, ADD -> model.hiddenSize();
      case SWI_GLU -> model.intermediateSize();
      case ROPE -> numHeads() * headDim();
    };
  }

  private int numHeads() {
    return isGrouped() ? model.grouped().numHeads() : model.latent().numHeads();
  }

  private int headDim() {
    return isGrouped()
        ? model.grouped().headDim()
        : model.latent().qkNopeHeadDim() + model.latent().qkRopeHeadDim();
  }

  private boolean isGrouped() {
    return model == ModelShape.QWEN2_1_5B;
  }

  Program program() {
    ProgramBuilder g = new ProgramBuilder("elementwise");
    Value row = KernelSteps.input(g, g.tokens(), width());
    Value x = kernel == Kernel.ROPE ? g.reshape(row, numHeads(), headDim()) : row;
    for (int i = 0; i < NUM_KERNELS; i++) {
      x =
          switch (kernel) {
            case RMS_NORM -> g.rmsNorm(x, norm(), 1e-6);
            case ADD -> g.add(row, x);
            case SWI_GLU -> g.swiGlu(row, x);
            case ROPE -> g.rope(x, rope(), headDim() - rope().dim());
          };
    }
    return KernelSteps.end(g, row);
  }

  private WeightRef norm() {
    return new WeightRef("norm", List.of(width()), WeightFormat.F32);
  }

  private RopeSpec rope() {
    int dim = isGrouped() ? headDim() : model.latent().qkRopeHeadDim();
    float[] frequencies = new float[dim / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = (float) Math.pow(10_000, -2.0 * i / dim);
    }
    return new RopeSpec(
        frequencies, 1, isGrouped() ? RopeLayout.HALF_SPLIT : RopeLayout.INTERLEAVED);
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
