package dev.fathom.examples.console;

/** How a run of the program ended, for scripts. */
public enum ExitCode {
  /** Everything that was asked for was done. */
  OK(0),
  /** The request was sound, but it failed: no memory, a broken backend, a full disk. */
  FAILURE(1),
  /** An option, an argument or an input file is wrong. */
  USAGE(2);

  private final int number;

  ExitCode(int number) {
    this.number = number;
  }

  /** Returns the number that the process ends with. */
  public int number() {
    return number;
  }
}
