package dev.fathom.engine;

import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;

/**
 * Tells a step that failed, after which the next may succeed, from a backend that can run none any
 * more.
 *
 * <p>Memory that ran out and a stack that was too small belong to the step. Broken are what says so
 * itself, an error of the virtual machine (it throws {@link InternalError} where the pages of a
 * mapped file are gone), and classes that cannot be linked: neither gets better by trying again.
 */
final class StepFailure {

  private StepFailure() {}

  /** Returns whether no later step can succeed. */
  static boolean isBroken(Throwable e) {
    if (e instanceof BackendException backend) {
      return backend.code() == ErrorCode.BACKEND_BROKEN;
    }
    boolean isOfTheStep = e instanceof OutOfMemoryError || e instanceof StackOverflowError;
    return (e instanceof VirtualMachineError && !isOfTheStep) || e instanceof LinkageError;
  }

  /** Returns what ends the engine: the failure itself where it says that the backend is broken. */
  static BackendException broken(Throwable e) {
    if (e instanceof BackendException backend && isBroken(backend)) {
      return backend;
    }
    return new BackendException(
        ErrorCode.BACKEND_BROKEN,
        "The engine stopped",
        e.toString(),
        "close the model and load it again",
        e);
  }
}
