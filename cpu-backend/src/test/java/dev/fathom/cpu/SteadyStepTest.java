package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.fathom.arch.Architectures;
import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.CheckpointReader;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.sampling.HostSampler;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A decode step of the sample, once the compiler has seen it. */
class SteadyStepTest {

  private static final Path SAMPLE = Path.of("..", "examples", "models", "sample");
  private static final int BLOCKS = 16;
  private static final int STEPS = 40;
  private static final long PATIENCE_NANOS = 60_000_000_000L;

  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private long allocated() {
    long sum = 0;
    for (long bytes : threads.getThreadAllocatedBytes(threads.getAllThreadIds())) {
      sum += Math.max(0, bytes);
    }
    return sum;
  }

  @Test
  void allocatesItsHandleAndNothingElse() {
    Checkpoint checkpoint = Checkpoint.open(SAMPLE);
    CheckpointWeights catalog = new CheckpointWeights(checkpoint, null);
    Program program =
        Architectures.forConfig(checkpoint.config()).program(checkpoint.config(), catalog);
    CpuBackend backend = new CpuBackend(new BackendOptions(2, 0, ActivationMode.AUTO), 0);
    try (Arena arena = Arena.ofShared()) {
      PlacedWeights weights = place(checkpoint, catalog, program, backend, arena);
      CompileOptions options =
          new CompileOptions(4, 1, 1, 16, BLOCKS, BLOCKS, KvFormat.F32, LatentForm.AUTO, Set.of());
      Executable executable = backend.compile(List.of(program), weights, options);
      long least = leastBytesOfAStep(executable);
      executable.close();
      backend.close();
      assertThat(least).as("bytes of a step").isLessThanOrEqualTo(64);
    }
  }

  private static PlacedWeights place(
      Checkpoint checkpoint,
      CheckpointWeights catalog,
      Program program,
      CpuBackend backend,
      Arena arena) {
    Map<String, PlacedWeight> placed = new HashMap<>();
    try (CheckpointReader reader = checkpoint.reader(read -> {})) {
      for (WeightRef weight : program.weights()) {
        placed.put(
            weight.name(),
            backend.place(
                weight,
                catalog.read(
                    weight,
                    (tensor, owner) -> {
                      MemorySegment bytes = owner.allocate(tensor.byteLength(), 64);
                      reader.read(tensor, bytes);
                      return bytes;
                    },
                    arena)));
      }
    }
    return new PlacedWeights(placed);
  }

  /** Decodes until a run of steps allocates next to nothing, or for a minute. */
  private long leastBytesOfAStep(Executable executable) {
    StepBatch batch = executable.newBatch();
    SamplingRows rows = new SamplingRows(1);
    HostSampler sampler = new HostSampler();
    long least = Long.MAX_VALUE;
    long end = System.nanoTime() + PATIENCE_NANOS;
    while (least > 64 && System.nanoTime() < end) {
      long before = allocated();
      long own = allocated() - before;
      before = allocated();
      for (int i = 0; i < STEPS; i++) {
        batch.clear();
        rows.clear();
        batch.addSequence(StepBatch.NO_ADAPTER, 1);
        for (int block = 0; block < BLOCKS; block++) {
          batch.addBlock(0, block);
        }
        batch.addToken(5 + i, i);
        rows.addGreedy();
        executable.submit(batch, rows, sampler).await();
      }
      least = Math.min(least, (allocated() - before - own) / STEPS);
    }
    return least;
  }
}
