package dev.fathom.examples.cli;

import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;

/** One command of the program, its options already set from the command line. */
@FunctionalInterface
interface Command {

  /**
   * Does the work and prints the result.
   *
   * @throws Failure or a {@link dev.fathom.error.FathomException} where it cannot
   */
  ExitCode run();
}
