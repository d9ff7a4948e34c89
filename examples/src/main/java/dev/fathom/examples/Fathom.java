package dev.fathom.examples;

import dev.fathom.examples.cli.CommandLineApp;
import dev.fathom.examples.console.Terminal;
import java.io.PrintStream;

/** The command line program: {@code fathom chat "What is 27 + 48?"}. */
public final class Fathom {

  private Fathom() {}

  /** Runs the program and ends the process with its exit code. */
  public static void main(String[] args) {
    System.exit(CommandLineApp.run(args, Terminal.system()));
  }

  /**
   * Runs the program inside this process, without a person at a terminal.
   *
   * @param args as given on the command line
   * @param out takes results
   * @param err takes errors and progress
   * @return the exit code: 0 done, 1 failed, 2 wrong option, argument or input file
   */
  public static int run(String[] args, PrintStream out, PrintStream err) {
    return CommandLineApp.run(args, Terminal.piped(out, err));
  }
}
