package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizeCommandTest {

  @Test
  void idsAndPiecesAreListed() {
    Cli run = Cli.run("tokenize", "What is 2");

    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .isEqualTo(
            """
             id  piece
            304  "What"
            302  " is"
            223  " "
             20  "2"
            4 tokens
            """);
  }

  @Test
  void controlTokensAreTextUnlessSpecialsAreWanted() {
    assertThat(Cli.run("tokenize", "--json", "<｜User｜>").out()).doesNotContain("4082");
    assertThat(Cli.run("tokenize", "--json", "--specials", "<｜User｜>").out())
        .isEqualTo("{\"ids\": [4082], \"pieces\": [\"<｜User｜>\"]}\n");
  }

  @Test
  void bytesThatAreNoCharacterAreShownAsBytes() {
    assertThat(Cli.run("tokenize", "ö").out()).contains("\"<0xC3>\"", "\"<0xB6>\"");
  }

  @Test
  void decodingIsTheInverse() {
    assertThat(Cli.run("tokenize", "--decode", "304, 302 223 [20]").out()).isEqualTo("What is 2\n");
    assertThat(Cli.run("tokenize", "--json", "-d", "304,302").out())
        .isEqualTo("{\"ids\": [304, 302], \"text\": \"What is\"}\n");
  }

  @Test
  void standardInputIsTheTextWhereNoArgumentIsGiven() {
    assertThat(Cli.runWithInput("What is 2\n", "tokenize").out()).endsWith("4 tokens\n");
    assertThat(Cli.runWithInput("304,302\n", "tokenize", "-d").out()).isEqualTo("What is\n");
  }

  @Test
  void theEmptyTextHasNoTokens() {
    assertThat(Cli.run("tokenize", "").out()).endsWith("0 tokens\n");
  }

  @ParameterizedTest
  @ValueSource(strings = {"1,x", "-3", "4096", "99999999999", "", "1;2", "0x10"})
  void idsThatAreNoneAreRefused(String ids) {
    Cli run = Cli.run("tokenize", "--decode", ids);

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).contains("error: ", "  why: ", "  fix: ");
  }

  @Test
  void aFolderWithoutTokenizerSaysWhichFileIsMissing(@TempDir Path folder) {
    Cli run = Cli.run("tokenize", "--model", folder.toString(), "hi");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("tokenizer.json", "FATHOM-3");
  }
}
