package dev.fathom.backend;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A compiled program with its KV cache and scratch memory.
 *
 * <p>One thread at a time uses it: the engine's. Closing frees the KV cache and scratch, after the
 * last step ended; it is idempotent.
 */
public interface Executable extends AutoCloseable {

  /** Creates a step buffer of this executable's capacities, to be filled again and again. */
  StepBatch newBatch();

  /** Returns the number of programs: 1, and one for each draft program. */
  default int numPrograms() {
    return 1;
  }

  /**
   * Queues a step of the batch's program: block copies first, then the tokens of every sequence.
   *
   * <p>Programs share weights and KV caches; a sequence has the same block tables in all of them. A
   * draft program's step follows the step whose states it continues: the main program's, or another
   * draft's.
   *
   * <p>The batch and the rows may be refilled once the handle was awaited. A token that refers to a
   * row of the previous step takes what that row sampled.
   *
   * @param batch what is computed
   * @param rows how each wanted row is sampled
   * @param sampler samples on the host where the backend does not do it itself: one row after the
   *     other, in ascending order, on one thread
   * @throws IllegalArgumentException where the batch breaks a rule of {@link StepBatch}
   * @throws dev.fathom.error.BackendException where the step failed; a {@code BACKEND_BROKEN} one
   *     means that no later step can succeed
   */
  StepHandle submit(StepBatch batch, SamplingRows rows, RowSampler sampler);

  /**
   * Sets, replaces or clears the adapter of a slot, between steps.
   *
   * @param slot 0 to {@link #numAdapterSlots()} - 1
   * @param adapter the adapter, or null to clear the slot
   * @throws IllegalArgumentException for a slot out of range, and for a delta that belongs to no
   *     linear of the program or has other widths
   */
  void setAdapter(int slot, @Nullable Adapter adapter);

  /** Returns how many adapters can be held at once. */
  int numAdapterSlots();

  /** Returns the number of KV groups; a sequence has a block table for each. */
  int numKvGroups();

  /** Returns the bytes of a block of a group, all its layers together. */
  long blockBytes(int group);

  /** Copies a block's bytes out. The target holds at least {@link #blockBytes} bytes. */
  void exportBlock(int group, int block, MemorySegment target);

  /** Copies a block's bytes in, as {@link #exportBlock} wrote them. */
  void importBlock(int group, int block, MemorySegment source);

  /** Returns the tokens of the main program's experts; counted while steps run, read by any. */
  default ExpertLoads expertLoads() {
    return ExpertLoads.NONE;
  }

  /**
   * Says that the steps that follow are for warming up: from now on the code runs that is fast once
   * it is compiled. Does nothing where there is no other. Before the first step.
   */
  default void beginWarmUp() {}

  /**
   * Asks the running step to fail soon; later ones fail too. For closing: nobody wants the results
   * any more. Does nothing where a step cannot be stopped. Any thread, also after closing.
   */
  default void abort() {
    // Steps run to their end.
  }

  @Override
  void close();
}
