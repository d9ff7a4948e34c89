package dev.fathom.examples.console;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.examples.cli.CommandLineApp;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TerminalTest {

  @Test
  void colorIsWantedUnlessTheEnvironmentDeclines() {
    assertThat(Terminal.colorWanted(Map.of("TERM", "xterm"))).isTrue();
    assertThat(Terminal.colorWanted(Map.of("NO_COLOR", "", "TERM", "xterm"))).isTrue();
    assertThat(Terminal.colorWanted(Map.of("NO_COLOR", "1", "TERM", "xterm"))).isFalse();
    assertThat(Terminal.colorWanted(Map.of("TERM", "dumb"))).isFalse();
  }

  /** A device that is full. */
  private static final class Full extends OutputStream {

    private final String message;

    Full(String message) {
      this.message = message;
    }

    @Override
    public void write(int b) throws IOException {
      throw new IOException(message);
    }
  }

  private static String errorsOf(String failure) {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    Terminal terminal =
        Terminal.piped(
            Terminal.utf8(new Full(failure)), new PrintStream(err, false, StandardCharsets.UTF_8));
    assertThat(CommandLineApp.run(new String[] {"--version"}, terminal)).isEqualTo(1);
    return err.toString(StandardCharsets.UTF_8);
  }

  @Test
  void aFullDiskIsNoSuccess() {
    assertThat(errorsOf("No space left on device"))
        .startsWith("error: The output could not be written\n  why: No space left on device\n");
  }

  @Test
  void aReaderThatWentAwayHearsNothing() {
    assertThat(errorsOf("Broken pipe")).isEmpty();
  }

  @Test
  void tablesAlignTheirColumns() {
    Table table = new Table(Table.Align.LEFT, Table.Align.RIGHT);
    table.row("name", "n");
    table.row("x", "1234");

    assertThat(table).hasToString("name     n\nx     1234\n");
  }
}
