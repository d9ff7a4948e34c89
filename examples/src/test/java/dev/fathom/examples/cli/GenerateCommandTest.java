package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class GenerateCommandTest {

  @Test
  void theTextIsContinuedWithoutTheFormOfAConversation() {
    Cli run = Cli.run("generate", "--max-tokens", "8", "/** Returns");

    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).isNotBlank().doesNotContain("/** Returns");
    assertThat(run.err()).contains("generated 8 tokens", "cut at --max-tokens");
  }

  @Test
  void standardInputIsTheTextWhereNoArgumentIsGiven() {
    Cli argument = Cli.run("generate", "--max-tokens", "8", "/** Returns");
    Cli input = Cli.runWithInput("/** Returns\n", "generate", "--max-tokens", "8");

    assertThat(input.out()).isEqualTo(argument.out());
  }

  @Test
  void controlTokensInTheTextAreText() {
    Cli run = Cli.run("generate", "--json", "--max-tokens", "1", "<｜User｜>");

    assertThat(Cli.text(run.json("usage").get("prompt_tokens"))).isEqualTo("11");
  }

  @Test
  void jsonIsOneDocument() {
    Cli run = Cli.run("generate", "--json", "--max-tokens", "8", "/** Returns");

    assertThat(run.json().string("finish_reason")).isEqualTo("length");
    assertThat(run.json().string("text")).isNotBlank();
    assertThat(run.out()).hasLineCount(1);
  }

  @Test
  void aSuffixAsksForWhatStandsBetween() {
    Cli run = Cli.run("generate", "--json", "--max-tokens", "4", "--suffix", "}", "int f() {");
    Cli plain = Cli.run("generate", "--json", "--max-tokens", "4", "int f() {");

    assertThat(run.exitCode()).isZero();
    assertThat(run.json().string("finish_reason")).isEqualTo("length");
    int more = promptTokens(run) - promptTokens(plain);
    assertThat(more).as("three control tokens and the suffix").isEqualTo(4);
  }

  private static int promptTokens(Cli run) {
    return Integer.parseInt(Cli.text(run.json("usage").get("prompt_tokens")));
  }
}
