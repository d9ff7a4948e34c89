package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonObject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ChatCommandTest {

  private static final String SUM = "What is 27 + 48?";

  @Test
  void aPipedAnswerIsAloneOnStandardOutput() {
    Cli run = Cli.run("chat", SUM);

    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).isEqualTo("27 + 48 = 75\n");
    assertThat(run.err())
        .contains("7 + 8 = 15, write 5, carry 1.", "[prompt 12 tokens, ", " tok/s; generated 52 ")
        .doesNotContain("\u001b");
  }

  @Test
  void aPersonSeesDimmedReasoningThenTheAnswerThenTheSpeeds() {
    Cli run = Cli.runAtTerminal(true, "chat", SUM);

    assertThat(run.out())
        .startsWith("\u001b[2m2\u001b[0m\u001b[2m ")
        .contains("5\u001b[0m\n\n27 + 48 = 75\n\u001b[2m[prompt 12 tokens");
  }

  @Test
  void withoutColorNoEscapeSequenceIsWritten() {
    Cli run = Cli.runAtTerminal(false, "chat", SUM);

    assertThat(run.out()).contains("7 5\n\n27 + 48 = 75\n[prompt").doesNotContain("\u001b");
  }

  @Test
  void thinkingCanBeTurnedOff() {
    Cli run = Cli.run("chat", "--no-thinking", "What is the capital of Norway?");

    assertThat(run.out()).isEqualTo("The capital of Norway is Oslo.\n");
    assertThat(run.err()).startsWith("[prompt ");
  }

  @Test
  void jsonIsOneDocument() {
    Cli run = Cli.run("chat", "--json", SUM);

    JsonObject json = run.json();
    assertThat(json.string("text")).isEqualTo("27 + 48 = 75");
    assertThat(json.string("reasoning")).startsWith("2 7 + 4 8.");
    assertThat(json.string("finish_reason")).isEqualTo("eos");
    assertThat(Cli.text(json.get("usage")))
        .isEqualTo(
            "{\"prompt_tokens\":12,\"completion_tokens\":52,\"reasoning_tokens\":"
                + reasoningTokens(json)
                + "}");
    assertThat(run.out()).hasLineCount(1);
  }

  private static String reasoningTokens(JsonObject json) {
    return Cli.text(((JsonObject) json.get("usage")).get("reasoning_tokens"));
  }

  @Test
  void anAnswerThatIsCutSaysSo() {
    Cli run = Cli.run("chat", "--max-tokens", "5", SUM);

    assertThat(run.exitCode()).isZero();
    assertThat(run.err()).contains("cut at --max-tokens");
  }

  @Test
  void theSameSeedGivesTheSameAnswer() {
    String[] args = {
      "chat", "--json", "--temperature", "1.5", "--top-p", "0.9", "--seed", "11", "-n", "24", SUM
    };

    assertThat(Cli.run(args).json().get("reasoning"))
        .isEqualTo(Cli.run(args).json().get("reasoning"));
  }

  @ParameterizedTest
  @CsvSource({
    "--temperature, NaN",
    "--temperature, 2.5",
    "--temperature, -1",
    "--temperature, warm",
    "--top-p, 0",
    "--top-p, 1.01",
    "--max-tokens, 0",
    "--max-tokens, many",
    "--seed, 0x7",
    "--threads, -1",
    "--context, -5",
    "--backend, quantum",
    "--kv-cache, int3",
    "--memory, lots",
    "--sequences, 0",
    "--chunk, 0",
    "--prompt-format, llama9"
  })
  void aWrongValueIsRefusedByName(String option, String value) {
    Cli run = Cli.run("chat", option, value, SUM);

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err())
        .contains("error: ", "  why: ", "  fix: ", value)
        .doesNotContain("at dev.fathom", "Exception");
  }

  @Test
  void anEmptyPromptIsRefused() {
    Cli run = Cli.run("chat", " ");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("the prompt is empty");
  }

  @Test
  void pipedLinesAreAConversation() {
    Cli run = Cli.runWithInput(SUM + "\n\nWhat is 60 - 38?\n/exit\nnever read\n", "chat");

    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).startsWith("27 + 48 = 75\n").hasLineCount(2);
    assertThat(run.err()).contains("[prompt 12 tokens").doesNotContain("[prompt 13 tokens");
  }

  @Test
  void resetForgetsWhatWasSaid() {
    Cli run = Cli.runWithInput(SUM + "\n/reset\n" + SUM + "\n", "chat");

    assertThat(run.out()).isEqualTo("27 + 48 = 75\n27 + 48 = 75\n");
    assertThat(run.err().split("\\[prompt 12 tokens", -1)).hasSize(3);
  }

  @Test
  void helpAndUnknownCommandsNeverReachTheModel() {
    Cli run = Cli.runWithInput("/help\n/foo\n", "chat");

    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).contains("/reset   forget", "There is no command /foo");
  }

  @Test
  void aQuestionThatDoesNotFitIsReportedAndTheConversationGoesOn() {
    String tooLong = "word ".repeat(200);
    Cli run = Cli.runWithInput(tooLong + "\n" + SUM + "\n", "chat", "--context", "128");

    assertThat(run.out()).isEqualTo("27 + 48 = 75\n");
    assertThat(run.err()).contains("error: ", "FATHOM-5");
    assertThat(run.exitCode()).isEqualTo(2);
  }

  @Test
  void pipedLinesGiveOneDocumentOfAllAnswers() {
    Cli run = Cli.runWithInput(SUM + "\n", "chat", "--json");

    assertThat(run.json().get("answers")).isInstanceOf(JsonArray.class);
    assertThat(run.out()).contains("\"prompt\": \"" + SUM + "\"", "27 + 48 = 75").hasLineCount(1);
  }

  @Test
  void instructionsAreNotATurnOfTheUser() {
    Cli run = Cli.run("chat", "--json", "--system", "Be brief.", SUM);

    assertThat(run.exitCode()).isZero();
    assertThat(Cli.text(run.json("usage").get("prompt_tokens"))).isEqualTo("17");
  }

  @Test
  void effortIsOneOfThreeAndChangesNothingForModelsWithoutTextsForIt() {
    Cli wrong = Cli.run("chat", "--effort", "huge", SUM);
    Cli max = Cli.run("chat", "--effort", "max", "--keep-reasoning", SUM);

    assertThat(wrong.exitCode()).isEqualTo(2);
    assertThat(wrong.err()).contains("must be low, high or max: huge");
    assertThat(max.out()).isEqualTo("27 + 48 = 75\n");
  }

  @Test
  void aResponseFormatIsRefusedWhereTheModelHasNoFormForIt() {
    Cli run = Cli.run("chat", "--response-format", "{}", SUM);

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("Cannot render a response format", "FATHOM-3005");
  }
}
