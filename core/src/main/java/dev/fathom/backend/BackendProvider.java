package dev.fathom.backend;

import dev.fathom.program.Program;

/**
 * Names a backend and says whether it can run here. Found by {@link java.util.ServiceLoader}, so it
 * has a public constructor without arguments and loads no native library and no optional module
 * before {@link #probe}.
 */
public interface BackendProvider {

  /** Returns the name that users write, such as {@code cpu}. */
  String name();

  /** Returns the rank under {@code auto}: the highest available one wins. The reference has 0. */
  int preference();

  /**
   * Looks whether the backend can run in this process. Never throws; may be slow the first time;
   * later calls return the same answer.
   */
  Availability probe();

  /**
   * Says whether the backend has every operation of a program. Under {@code auto} a backend that
   * lacks one is passed over.
   *
   * @param program what would be compiled
   */
  default Availability supports(Program program) {
    return Availability.yes("has every operation");
  }

  /**
   * Creates the backend.
   *
   * @param threads worker threads wanted, or 0 for the backend's own choice
   * @throws dev.fathom.error.BackendException where {@link #probe} says no
   */
  Backend create(int threads);

  /**
   * Creates the backend with more choices than its threads.
   *
   * @throws dev.fathom.error.BackendException where {@link #probe} says no, or a choice cannot be
   *     met
   */
  default Backend create(BackendOptions options) {
    return create(options.threads());
  }
}
