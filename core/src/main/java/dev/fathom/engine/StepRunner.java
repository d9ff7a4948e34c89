package dev.fathom.engine;

import dev.fathom.backend.Executable;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Runs steps on the engine's thread, and knows who owns the engine's state meanwhile.
 *
 * <p>A step may take longer than whoever closes the engine will wait. While one runs, the engine's
 * thread touches nothing but the step, so a closing thread can {@linkplain #takeOver take over}
 * everything else and end all requests. The step then ends in an exception, and the engine's thread
 * has nothing left to do.
 */
final class StepRunner {

  private enum Owner {
    LOOP,
    STEP,
    CLOSER
  }

  private final Executable executable;
  private final AtomicReference<Owner> owner = new AtomicReference<>(Owner.LOOP);

  StepRunner(Executable executable) {
    this.executable = executable;
  }

  /**
   * Runs a step and waits for its end. The engine's thread.
   *
   * @throws BackendException also where the engine's state was taken over meanwhile: see {@link
   *     #isTakenOver}
   */
  StepHandle run(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    if (!owner.compareAndSet(Owner.LOOP, Owner.STEP)) {
      throw takenOver();
    }
    StepHandle handle;
    try {
      handle = executable.submit(batch, rows, sampler);
      handle.await();
    } catch (RuntimeException | Error e) {
      comeBack();
      throw e;
    }
    comeBack();
    return handle;
  }

  private void comeBack() {
    if (!owner.compareAndSet(Owner.STEP, Owner.LOOP)) {
      throw takenOver();
    }
  }

  private static BackendException takenOver() {
    return new BackendException(
        ErrorCode.BACKEND_BROKEN,
        "A step ended after its engine was closed",
        "closing did not wait for it",
        "load the model again, and close it after the last generation ended");
  }

  /**
   * Takes the engine's state from a thread that is inside a step. Any thread.
   *
   * @return false where no step runs, or another thread was first
   */
  boolean takeOver() {
    return owner.compareAndSet(Owner.STEP, Owner.CLOSER);
  }

  /** Returns whether the engine's thread owns nothing any more. */
  boolean isTakenOver() {
    return owner.get() == Owner.CLOSER;
  }

  /** Makes the running step, and every later one, fail soon where the backend can. Any thread. */
  void abort() {
    executable.abort();
  }
}
