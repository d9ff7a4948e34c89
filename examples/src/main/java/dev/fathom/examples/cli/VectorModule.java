package dev.fathom.examples.cli;

import dev.fathom.examples.console.Terminal;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Tells once a process how to be faster where it was started without the Vector API, in the words
 * of the way it was started.
 */
final class VectorModule {

  private static final String FLAGS =
      "--add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED";
  private static final AtomicBoolean ADVISED = new AtomicBoolean();

  private VectorModule() {}

  /** Prints the advice on the first call of a process that lacks the module. */
  static void adviseOnce(Terminal terminal) {
    boolean present = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
    if (!present && ADVISED.compareAndSet(false, true)) {
      terminal.err().println(advice(System.getProperty("sun.java.command", "")));
      terminal.err().flush();
    }
  }

  /**
   * Returns the advice.
   *
   * @param command main class or jar of this process and its arguments, as the JVM knows them
   */
  static String advice(String command) {
    String program = command.contains(" ") ? command.substring(0, command.indexOf(' ')) : command;
    String fix =
        program.endsWith(".jar")
            ? "java " + FLAGS + " -jar " + program + " ..."
            : "java " + FLAGS + " ... " + (program.isEmpty() ? "" : program + " ...");
    return "note: the Vector API is not loaded, so this runs several times slower than it could."
        + "\n  fix: ./fathom ...  or  "
        + fix.strip();
  }
}
