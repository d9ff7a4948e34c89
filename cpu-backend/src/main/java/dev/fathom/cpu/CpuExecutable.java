package dev.fathom.cpu;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.FinishedStep;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Runs a program on the calling thread and the backend's team: {@link #submit} returns when the
 * step ended. A steady step allocates its handle and nothing else.
 */
final class CpuExecutable implements Executable {

  private static final int MAX_TOP_LOGPROBS = 20;

  private final Program program;
  private final CompileOptions options;
  private final PagedKv kv;
  private final Adapters adapters;
  private final Step step;
  private final List<Operation> operations;
  private final Value logits;
  private final float[] rowLogits;
  private SampledRows previous;
  private SampledRows current;
  private int previousRows;
  private @Nullable BackendException broken;
  private boolean closed;

  CpuExecutable(
      Program program,
      PlacedWeights weights,
      CompileOptions options,
      ThreadTeam team,
      long worthADispatch) {
    this.program = program;
    this.options = options;
    Value output = program.outputs().get(Program.LOGITS);
    if (output == null) {
      throw new IllegalArgumentException("program: expected an output logits, got none");
    }
    this.logits = output;
    this.kv = new PagedKv(program, options);
    this.step = new Step(program, options, team, worthADispatch, newBatch());
    this.adapters = new Adapters(program, step);
    this.operations = new Binder(program, weights, step, kv, adapters).bind();
    this.rowLogits = new float[step.sizes().vocab()];
    this.previous = new SampledRows(options.maxRows(), MAX_TOP_LOGPROBS);
    this.current = new SampledRows(options.maxRows(), MAX_TOP_LOGPROBS);
  }

  @Override
  public StepBatch newBatch() {
    return new StepBatch(options, kv.numGroups());
  }

  @Override
  public StepHandle submit(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    requireUsable();
    batch.validate(program.vocabSize(), options.blockTokens(), options.numBlocks(), previousRows);
    if (rows.numRows() != batch.numRows()) {
      throw new IllegalArgumentException(
          "must equal the wanted rows " + batch.numRows() + ": sampling rows=" + rows.numRows());
    }
    adapters.begin(batch);
    SampledRows earlier = current;
    current = previous;
    previous = earlier;
    compute(batch);
    for (int row = 0; row < batch.numRows(); row++) {
      sample(row, rows, sampler);
    }
    previousRows = batch.numRows();
    return new FinishedStep(program, options, step::data, current, batch);
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

  private void compute(StepBatch batch) {
    try {
      kv.copyBlocks(batch);
      if (batch.numTokens() > 0) {
        step.begin(batch, previous);
        operations.forEach(Operation::run);
      }
    } catch (RuntimeException | Error e) {
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

  private void sample(int row, SamplingRows rows, RowSampler sampler) {
    int vocab = rowLogits.length;
    System.arraycopy(step.data(logits), row * vocab, rowLogits, 0, vocab);
    sampler.sample(rows, row, rowLogits, 0, vocab, current);
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
    }
  }
}
