package dev.fathom.examples.cli;

import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Terminal;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Where the lines of a conversation come from. */
interface LineSource extends AutoCloseable {

  /**
   * Waits for the next line.
   *
   * @return the line without its end, or null after the last
   */
  @Nullable String next();

  /** Has an action run when Ctrl-C is typed while no line is being read. */
  default void onInterrupt(Runnable action) {}

  @Override
  default void close() {}

  /** Returns a line editor where a person types, else the lines of the input. */
  static LineSource of(Terminal terminal) {
    if (terminal.inIsTerminal() && terminal.outIsTerminal()) {
      return EditedLines.open();
    }
    BufferedReader reader =
        new BufferedReader(new InputStreamReader(terminal.in(), StandardCharsets.UTF_8));
    return () -> read(reader);
  }

  private static @Nullable String read(BufferedReader reader) {
    try {
      return reader.readLine();
    } catch (IOException e) {
      throw Failure.failure(
          "Standard input could not be read",
          String.valueOf(e.getMessage()),
          "check where the input comes from",
          e);
    }
  }
}
