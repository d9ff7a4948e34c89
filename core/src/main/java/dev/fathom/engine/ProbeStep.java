package dev.fathom.engine;

import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.backend.StepOutput;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.kvcache.SequenceBlocks;
import dev.fathom.program.Program;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/**
 * Steps over a given sequence whose logits are copied for a waiting thread, one chunk at a time.
 *
 * <p>The engine's thread runs a chunk, then the waiting thread reads it; they take turns.
 */
final class ProbeStep implements Probe {

  private final int[] ids;
  private final int chunk;
  private final int vocabSize;
  private final int adapterSlot;
  private final float[] logits;
  private CountDownLatch ready = new CountDownLatch(1);
  private @Nullable RuntimeException failure;
  private @Nullable SequenceBlocks blocks;
  private int numDone;
  private int numRows;

  ProbeStep(int[] ids, int chunk, int vocabSize, int adapterSlot) {
    this.ids = ids.clone();
    this.chunk = chunk;
    this.vocabSize = vocabSize;
    this.adapterSlot = adapterSlot;
    this.logits = new float[Math.multiplyExact(Math.min(chunk, ids.length), vocabSize)];
  }

  @Override
  public boolean pin(Scheduler scheduler) {
    if (blocks == null) {
      blocks = scheduler.pin(ids.length);
    }
    return blocks != null
        && scheduler.extendPinned(blocks, numDone, Math.min(ids.length, numDone + chunk));
  }

  @Override
  public void unpin(Scheduler scheduler) {
    scheduler.unpin(blocks);
  }

  boolean isDone() {
    return numDone == ids.length;
  }

  int numRows() {
    return numRows;
  }

  float[] logits() {
    return logits;
  }

  void rearm() {
    ready = new CountDownLatch(1);
  }

  /** Waits for the next chunk and returns its first position. */
  int awaitChunk() {
    try {
      ready.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new GenerationException(
          ErrorCode.GENERATION_CANCELLED,
          "The logits were not computed",
          "the waiting thread was interrupted",
          "call again without interrupting",
          e);
    }
    RuntimeException failed = failure;
    if (failed != null) {
      throw failed;
    }
    return numDone - numRows;
  }

  /** Computes the next chunk; the waiting thread asks for another. */
  @Override
  public boolean run(StepRunner steps, StepBatch batch, SamplingRows rows) {
    SequenceBlocks held = Objects.requireNonNull(blocks);
    batch.clear();
    rows.clear();
    int n = Math.min(chunk, ids.length - numDone);
    batch.addSequence(adapterSlot, n);
    for (int g = 0; g < held.numGroups(); g++) {
      batch.addTable(g, held.table(g));
    }
    for (int i = 0; i < n; i++) {
      batch.addToken(ids[numDone + i], numDone + i);
      rows.addGreedy();
    }
    StepHandle handle = steps.run(batch, rows, Probe::ignore);
    StepOutput output = handle.output(Program.LOGITS);
    System.arraycopy(output.data(), 0, logits, 0, n * vocabSize);
    numRows = n;
    numDone += n;
    return false;
  }

  /** Hands the chunk out; the blocks stay until the waiting thread has read the last one. */
  @Override
  public void end(Scheduler scheduler, Runnable freed) {
    ready.countDown();
  }

  @Override
  public void fail(RuntimeException cause) {
    failure = cause;
    ready.countDown();
  }
}
