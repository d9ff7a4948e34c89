package dev.fathom.engine;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.Executable;
import dev.fathom.backend.ExpertLoads;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Somebody else's executable, for an engine that must neither close nor abort it. */
public final class BorrowedExecutable implements Executable {

  private final Executable owned;

  /**
   * Borrows an executable.
   *
   * @param owned that no other engine uses meanwhile
   */
  public BorrowedExecutable(Executable owned) {
    this.owned = owned;
  }

  @Override
  public StepBatch newBatch() {
    return owned.newBatch();
  }

  @Override
  public int numPrograms() {
    return owned.numPrograms();
  }

  @Override
  public StepHandle submit(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    return owned.submit(batch, rows, sampler);
  }

  @Override
  public void setAdapter(int slot, @Nullable Adapter adapter) {
    owned.setAdapter(slot, adapter);
  }

  @Override
  public int numAdapterSlots() {
    return owned.numAdapterSlots();
  }

  @Override
  public int numKvGroups() {
    return owned.numKvGroups();
  }

  @Override
  public long blockBytes(int group) {
    return owned.blockBytes(group);
  }

  @Override
  public void exportBlock(int group, int block, MemorySegment target) {
    owned.exportBlock(group, block, target);
  }

  @Override
  public void importBlock(int group, int block, MemorySegment source) {
    owned.importBlock(group, block, source);
  }

  @Override
  public ExpertLoads expertLoads() {
    return owned.expertLoads();
  }

  @Override
  public void beginWarmUp() {
    owned.beginWarmUp();
  }

  @Override
  public void close() {
    // The owner does.
  }
}
