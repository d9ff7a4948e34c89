package dev.fathom.examples.console;

import org.jspecify.annotations.Nullable;

/** A failure of the command line itself; says what, why and how to mend it like the library's. */
public final class Failure extends RuntimeException {

  private static final long serialVersionUID = 1L;

  private final ExitCode exitCode;
  private final String what;
  private final String why;
  private final String fix;

  private Failure(
      ExitCode exitCode, String what, String why, String fix, @Nullable Throwable cause) {
    super(what + ": " + why + ". Fix: " + fix, cause);
    this.exitCode = exitCode;
    this.what = what;
    this.why = why;
    this.fix = fix;
  }

  /** Returns one for an option, argument or file that cannot be used as it is. */
  public static Failure usage(String what, String why, String fix) {
    return new Failure(ExitCode.USAGE, what, why, fix, null);
  }

  /** Returns one for an option, argument or file that cannot be used, with what revealed it. */
  public static Failure usage(String what, String why, String fix, Throwable cause) {
    return new Failure(ExitCode.USAGE, what, why, fix, cause);
  }

  /** Returns one for something that should have worked. */
  public static Failure failure(String what, String why, String fix, Throwable cause) {
    return new Failure(ExitCode.FAILURE, what, why, fix, cause);
  }

  /** Returns how the process should end. */
  public ExitCode exitCode() {
    return exitCode;
  }

  /** Returns what is wrong. */
  public String what() {
    return what;
  }

  /** Returns the reason. */
  public String why() {
    return why;
  }

  /** Returns what to do about it. */
  public String fix() {
    return fix;
  }
}
