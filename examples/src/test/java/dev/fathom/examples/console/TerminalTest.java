package dev.fathom.examples.console;

import static org.assertj.core.api.Assertions.assertThat;

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

  @Test
  void tablesAlignTheirColumns() {
    Table table = new Table(Table.Align.LEFT, Table.Align.RIGHT);
    table.row("name", "n");
    table.row("x", "1234");

    assertThat(table).hasToString("name     n\nx     1234\n");
  }
}
