package dev.fathom.examples.cli;

import dev.fathom.Diagnostics;
import dev.fathom.examples.console.Terminal;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Tells once a process how to be faster where only the reference backend can run, in the words of
 * the way the process was started. It stands in for the library's log line, which cannot know that.
 */
final class SlowBackend {

  private static final String FLAGS =
      "--add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED";
  private static final AtomicBoolean ADVISED = new AtomicBoolean();

  private SlowBackend() {}

  /** Prints the advice the first time that nothing better than the reference backend was found. */
  static void adviseOnce(Terminal terminal, Diagnostics diagnostics) {
    if (diagnostics.backend().equals("reference") && ADVISED.compareAndSet(false, true)) {
      boolean hasVectors = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
      String command = System.getProperty("sun.java.command", "");
      terminal.err().println(advice(diagnostics.backendReason(), hasVectors, command));
      terminal.err().flush();
    }
  }

  /**
   * Returns the advice.
   *
   * @param reason why the library chose the backend
   * @param hasVectors whether this JVM has the Vector API
   * @param command main class or jar of this process and its arguments, as the JVM knows them
   */
  static String advice(String reason, boolean hasVectors, String command) {
    if (hasVectors) {
      return "note: this runs on the slow reference backend (" + reason + ")";
    }
    String program = command.contains(" ") ? command.substring(0, command.indexOf(' ')) : command;
    String start = program.endsWith(".jar") ? "-jar " + program : "-cp ... " + program;
    return "note: the Vector API is not loaded, so this runs several times slower than it could"
        + "\n  fix: start with ./fathom, or with java "
        + (FLAGS + " " + start).strip()
        + " ...";
  }
}
