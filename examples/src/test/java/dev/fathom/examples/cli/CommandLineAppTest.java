package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.examples.Fathom;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CommandLineAppTest {

  @Test
  void withoutArgumentsTheUsageGoesToStandardErrorAndTheCodeIsTwo() {
    Cli run = Cli.run();

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).contains("Usage: fathom", "chat", "synth", "What is 27 + 48?");
  }

  @Test
  void helpAndVersionGoToStandardOutput() {
    assertThat(Cli.run("--help").out()).contains("Usage: fathom", "tokenize");
    assertThat(Cli.run("--help").exitCode()).isZero();
    assertThat(Cli.run("--version").out()).startsWith("fathom ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"chat", "generate", "tokenize", "inspect", "eval", "logits", "synth"})
  void everyCommandHasHelp(String command) {
    Cli run = Cli.run(command, "--help");

    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).contains("Usage: fathom " + command, "--json");
    assertThat(run.err()).isEmpty();
  }

  @Test
  void helpIsACommandToo() {
    assertThat(Cli.run("help").out()).isEqualTo(Cli.run("--help").out());
    assertThat(Cli.run("help", "eval").out()).isEqualTo(Cli.run("eval", "--help").out());
    assertThat(Cli.run("help", "evil").exitCode()).isEqualTo(2);
  }

  @Test
  void aMisspeltCommandIsAnsweredWithTheOneMeant() {
    Cli run = Cli.run("caht");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).contains("why: ", "caht", "fix: ", "chat");
  }

  @Test
  void anUnknownOptionIsNamed() {
    Cli run = Cli.run("chat", "--temprature", "0.5", "hi");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("--temprature", "--help").doesNotContain("at dev.fathom");
  }

  @Test
  void anErrorIsADocumentToowhereJsonIsWanted() {
    Cli run = Cli.run("inspect", "--json", "--model", "no/such/folder");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.json("error").string("code")).isEqualTo("FATHOM-1000");
    assertThat(run.json("error").string("fix")).isNotEmpty();
    assertThat(run.err()).startsWith("error: ");
  }

  @Test
  void theStackIsShownOnRequestOnly() {
    assertThat(Cli.run("inspect", "--model", "no/such/folder").err())
        .doesNotContain("at dev.fathom");
    assertThat(Cli.run("inspect", "--verbose", "--model", "no/such/folder").err())
        .contains("at dev.fathom");
  }

  @Test
  void aProgramCanRunTheCommandLineInItsOwnProcess() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();

    int exitCode =
        Fathom.run(
            new String[] {"tokenize", "--decode", "0,4082"},
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));

    assertThat(exitCode).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8).strip())
        .isEqualTo("<｜begin▁of▁sentence｜><｜User｜>");
    assertThat(err.toString(StandardCharsets.UTF_8)).isEmpty();
  }
}
