package dev.fathom.cpu;

/** A compiled operation: bound to its weights, its memory and its kernels. */
interface Operation {

  /** Computes the operation for the step that is running; called by the engine's thread. */
  void run();
}
