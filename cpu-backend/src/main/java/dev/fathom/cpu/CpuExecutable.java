package dev.fathom.cpu;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.ExpertLoads;
import dev.fathom.backend.FinishedStep;
import dev.fathom.backend.LargePageArena;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.PrefillMode;
import dev.fathom.backend.ProgramSet;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.cpu.kernel.ScalarStart;
import dev.fathom.cpu.onednn.Products;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import dev.fathom.program.Program;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Runs programs on the calling thread and the backend's team: {@link #submit} returns when the step
 * ended. A steady step allocates its handle and nothing else.
 */
final class CpuExecutable implements Executable {

  private static final int MAX_TOP_LOGPROBS = 20;

  private final CompileOptions options;
  private final Arena arena = LargePageArena.open();
  private final PagedKv kv;
  private final @Nullable Products products;
  private final Adapters adapters;
  private final CompiledProgram[] programs;
  private final float[] rowLogits;
  private final LogitReduction reduction;
  private SampledRows previous;
  private SampledRows current;
  private CompiledProgram last;
  private int previousTokens;
  private int previousRows;
  private final ThreadTeam team;
  private @Nullable BackendException broken;
  private volatile boolean aborted;
  private final BooleanSupplier isAborted = () -> aborted;
  private boolean closed;

  CpuExecutable(
      ProgramSet set,
      PlacedWeights weights,
      CompileOptions options,
      ThreadTeam team,
      long worthADispatch,
      PrefillMode prefill) {
    this.options = options.forPrograms(set.programs().size());
    this.kv = new PagedKv(set.kvSpecs(), options);
    this.products = prefill == PrefillMode.ONEDNN ? products(set, this.options, team.size()) : null;
    Step[] steps = new Step[set.programs().size()];
    for (int i = 0; i < steps.length; i++) {
      Program program = set.programs().get(i);
      steps[i] = new Step(program, this.options, team, worthADispatch, newBatch(), products);
    }
    this.team = team;
    this.adapters = new Adapters(set, steps[0]);
    this.programs = new CompiledProgram[steps.length];
    for (int i = 0; i < steps.length; i++) {
      Program program = set.programs().get(i);
      programs[i] = CompiledProgram.of(program, weights, steps[i], kv, adapters, arena);
    }
    this.last = programs[0];
    this.rowLogits = new float[set.main().vocabSize()];
    this.reduction = new LogitReduction(rowLogits.length, this.options.maxRows(), team.size());
    this.previous = new SampledRows(options.maxRows(), MAX_TOP_LOGPROBS);
    this.current = new SampledRows(options.maxRows(), MAX_TOP_LOGPROBS);
    ScalarStart.decide(numWeights(set));
  }

  private static long numWeights(ProgramSet set) {
    return set.weights().stream().mapToLong(w -> (long) w.rows() * w.cols()).sum();
  }

  private static Products products(ProgramSet set, CompileOptions options, int threads) {
    long rounded = 0;
    int cols = 1;
    for (Program program : set.programs()) {
      Sizes sizes = new Sizes(program, options);
      rounded = Math.max(rounded, sizes.rounded());
      cols = Math.max(cols, sizes.cols());
    }
    return new Products(threads, rounded, cols);
  }

  @Override
  public StepBatch newBatch() {
    return new StepBatch(options, kv.groups());
  }

  @Override
  public int numPrograms() {
    return programs.length;
  }

  @Override
  public StepHandle submit(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    requireUsable();
    batch.validateProgram(programs.length, previousTokens);
    batch.validate(rowLogits.length, previousRows);
    if (rows.numRows() != batch.numRows()) {
      throw new IllegalArgumentException(
          "must equal the wanted rows " + batch.numRows() + ": sampling rows=" + rows.numRows());
    }
    adapters.begin(batch);
    SampledRows earlier = current;
    current = previous;
    previous = earlier;
    CompiledProgram program = programs[batch.program()];
    // Until it has ended there is no step whose rows and states the next one could name.
    previousTokens = 0;
    previousRows = 0;
    compute(program, batch, rows);
    for (int row = 0; row < batch.numRows(); row++) {
      sample(program, row, rows, sampler);
    }
    last = program;
    previousTokens = batch.numTokens();
    previousRows = batch.numRows();
    return new FinishedStep(program.program(), options, program.step()::data, current, batch);
  }

  private void requireUsable() {
    if (closed) {
      throw new IllegalStateException("executable: expected an open one, got a closed one");
    }
    BackendException failure = broken;
    if (failure != null) {
      throw failure;
    }
  }

  /**
   * Computes a step. What it throws belongs to the step, which leaves nothing behind that a later
   * one reads: scratch is written before it is read, and nobody finds the blocks of a step that
   * failed. Only without its threads or its memory can no later step succeed.
   */
  private void compute(CompiledProgram program, StepBatch batch, SamplingRows rows) {
    try {
      kv.copyBlocks(batch);
      if (batch.numTokens() > 0) {
        runCounted(program, batch);
        reduction.run(program.step(), program.step().data(program.logits()), rows);
      }
    } catch (RuntimeException | Error e) {
      if (team.isOpen() && arena.scope().isAlive()) {
        throw e;
      }
      broken =
          new BackendException(
              ErrorCode.BACKEND_BROKEN,
              "The cpu backend failed in a step",
              e.toString(),
              "load the model again and report this with its stack trace",
              e);
      throw broken;
    }
  }

  private void runCounted(CompiledProgram program, StepBatch batch) {
    if (!ScalarStart.begin(batch.numTokens())) {
      program.run(batch, previous, last, isAborted);
      return;
    }
    long begun = System.nanoTime();
    program.run(batch, previous, last, isAborted);
    ScalarStart.spend(System.nanoTime() - begun);
  }

  @Override
  public void beginWarmUp() {
    ScalarStart.end();
  }

  @Override
  public ExpertLoads expertLoads() {
    return programs[0].step().expertLoads();
  }

  @Override
  public void abort() {
    aborted = true;
  }

  private void sample(CompiledProgram program, int row, SamplingRows rows, RowSampler sampler) {
    int vocab = rowLogits.length;
    float[] logits = program.step().data(program.logits());
    if (rows.isReduced(row) && !sampler.changes(rows, row)) {
      sampler.sample(rows, row, logits, row * vocab, vocab, current);
    } else {
      System.arraycopy(logits, row * vocab, rowLogits, 0, vocab);
      sampler.sample(rows, row, rowLogits, 0, vocab, current);
    }
  }

  @Override
  public void setAdapter(int slot, @Nullable Adapter adapter) {
    adapters.set(slot, adapter);
  }

  @Override
  public int numAdapterSlots() {
    return Adapters.NUM_SLOTS;
  }

  @Override
  public int numKvGroups() {
    return kv.numGroups();
  }

  @Override
  public long blockBytes(int group) {
    return kv.blockBytes(group);
  }

  @Override
  public void exportBlock(int group, int block, MemorySegment target) {
    kv.export(group, block, target);
  }

  @Override
  public void importBlock(int group, int block, MemorySegment source) {
    kv.restore(group, block, source);
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      kv.close();
      arena.close();
      if (products != null) {
        products.close();
      }
    }
  }
}
