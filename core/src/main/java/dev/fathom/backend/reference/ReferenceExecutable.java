package dev.fathom.backend.reference;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.ExpertLoads;
import dev.fathom.backend.FinishedStep;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.ProgramSet;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.program.Program;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Runs programs on the calling thread: {@link #submit} returns when the step ended.
 *
 * <p>Values live in float arrays planned by {@link dev.fathom.backend.ScratchPlan}; {@link
 * Interpreter} walks the operations.
 */
final class ReferenceExecutable implements Executable {

  private static final int NUM_ADAPTER_SLOTS = 64;
  private static final int MAX_TOP_LOGPROBS = 20;

  private final ProgramSet programs;
  private final CompileOptions options;
  private final PagedKv kv;
  private final Interpreter[] interpreters;
  private final @Nullable Adapter[] adapters = new Adapter[NUM_ADAPTER_SLOTS];
  private SampledRows previous;
  private SampledRows current;
  private Interpreter last;
  private int previousTokens;
  private int previousRows;
  private boolean closed;

  ReferenceExecutable(ProgramSet programs, PlacedWeights weights, CompileOptions options) {
    this.programs = programs;
    this.options = options.forPrograms(programs.programs().size());
    this.kv = new PagedKv(programs.kvSpecs(), options);
    this.interpreters = new Interpreter[programs.programs().size()];
    for (int i = 0; i < interpreters.length; i++) {
      Program program = programs.programs().get(i);
      interpreters[i] = new Interpreter(program, weights, this.options, kv, adapters);
    }
    this.last = interpreters[0];
    this.previous = new SampledRows(options.maxRows(), MAX_TOP_LOGPROBS);
    this.current = new SampledRows(options.maxRows(), MAX_TOP_LOGPROBS);
  }

  @Override
  public StepBatch newBatch() {
    return new StepBatch(options, kv.groups());
  }

  @Override
  public int numPrograms() {
    return interpreters.length;
  }

  @Override
  public StepHandle submit(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    requireOpen();
    batch.validateProgram(interpreters.length, previousTokens);
    batch.validate(programs.main().vocabSize(), previousRows);
    if (rows.numRows() != batch.numRows()) {
      throw new IllegalArgumentException(
          "must equal the wanted rows " + batch.numRows() + ": sampling rows=" + rows.numRows());
    }
    for (int s = 0; s < batch.numSequences(); s++) {
      requireSlot(batch.adapterSlot(s), StepBatch.NO_ADAPTER);
    }
    SampledRows earlier = current;
    current = previous;
    previous = earlier;
    Interpreter interpreter = interpreters[batch.program()];
    // Until it has ended there is no step whose rows and states the next one could name.
    previousTokens = 0;
    previousRows = 0;
    kv.copyBlocks(batch);
    interpreter.run(batch, previous, last);
    for (int row = 0; row < batch.numRows(); row++) {
      interpreter.sample(row, rows, sampler, current);
    }
    last = interpreter;
    previousTokens = batch.numTokens();
    previousRows = batch.numRows();
    Program program = programs.programs().get(batch.program());
    return new FinishedStep(program, options, interpreter::data, current, batch);
  }

  private static void requireSlot(int slot, int first) {
    if (slot < first || slot >= NUM_ADAPTER_SLOTS) {
      throw new IllegalArgumentException(
          "must be " + first + " <= slot < " + NUM_ADAPTER_SLOTS + ": adapter slot=" + slot);
    }
  }

  @Override
  public ExpertLoads expertLoads() {
    return interpreters[0].expertLoads();
  }

  @Override
  public void abort() {
    for (Interpreter interpreter : interpreters) {
      interpreter.abort();
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("executable: expected an open one, got a closed one");
    }
  }

  @Override
  public void setAdapter(int slot, @Nullable Adapter adapter) {
    requireSlot(slot, 0);
    if (adapter != null) {
      adapter.requireFit(programs.linears());
    }
    adapters[slot] = adapter;
  }

  @Override
  public int numAdapterSlots() {
    return NUM_ADAPTER_SLOTS;
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
