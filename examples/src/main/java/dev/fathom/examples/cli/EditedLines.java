package dev.fathom.examples.cli;

import dev.fathom.examples.console.Failure;
import java.io.IOException;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jspecify.annotations.Nullable;

/**
 * Lines that a person types, edited with the arrow keys, with a history of this conversation. The
 * history stays in memory: what was asked is nobody else's affair.
 */
final class EditedLines implements LineSource {

  private static final String PROMPT = ">>> ";

  private final Terminal terminal;
  private final LineReader reader;

  private EditedLines(Terminal terminal) {
    this.terminal = terminal;
    this.reader =
        LineReaderBuilder.builder()
            .terminal(terminal)
            .appName("fathom")
            .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true)
            .build();
  }

  /** Takes the terminal of this process. */
  static EditedLines open() {
    try {
      return new EditedLines(TerminalBuilder.builder().system(true).build());
    } catch (IOException e) {
      throw Failure.failure(
          "The terminal could not be used",
          String.valueOf(e.getMessage()),
          "give the prompt as an argument, or pipe lines into standard input",
          e);
    }
  }

  /** Ctrl-C while typing clears the line; Ctrl-D on an empty one ends. */
  @Override
  public @Nullable String next() {
    while (true) {
      try {
        return reader.readLine(PROMPT);
      } catch (UserInterruptException e) {
        terminal.writer().println("(Ctrl-D or /exit ends)");
        terminal.flush();
      } catch (EndOfFileException e) {
        return null;
      }
    }
  }

  @Override
  public void onInterrupt(Runnable action) {
    terminal.handle(Terminal.Signal.INT, signal -> action.run());
  }

  @Override
  public void close() {
    try {
      terminal.close();
    } catch (IOException e) {
      throw Failure.failure(
          "The terminal could not be given back",
          String.valueOf(e.getMessage()),
          "type \"reset\" in the shell",
          e);
    }
  }
}
