package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvalCommandTest {

  @Test
  void aTableShowsTheScoreOfEachTask() {
    Cli run = Cli.run("eval", "--limit", "2", "--tasks", "arith,tool,extract,text:facts");

    assertThat(run.exitCode()).isZero();
    assertThat(run.out().lines().map(EvalCommandTest::withoutSeconds))
        .startsWith(
            "task metric value over seconds",
            "arith exact match 1.000 2 answers",
            "tool exact match 1.000 2 answers",
            "extract exact match 1.000 2 answers");
    assertThat(run.out()).contains("text:facts").contains("perplexity");
  }

  private static String withoutSeconds(String line) {
    String flat = String.join(" ", line.strip().split(" +"));
    return flat.endsWith("seconds") ? flat : flat.substring(0, flat.lastIndexOf(' '));
  }

  /** The published value of the FP8 weights, computed by transformers in float32. */
  @Test
  void thePerplexityOfATaskIsThatOfTheReferenceImplementation() {
    Cli run = Cli.run("eval", "--json", "--tasks", "text:facts");

    JsonObject facts = (JsonObject) run.json("tasks").get("text:facts");
    assertThat(((JsonNumber) facts.get("value")).doubleValue())
        .isCloseTo(2.412, Percentage.withPercentage(0.1));
    assertThat(facts.string("metric")).isEqualTo("perplexity");
    assertThat(run.out()).hasLineCount(1);
  }

  @Test
  void anUnknownTaskIsAnsweredWithTheKnownOnes() {
    Cli run = Cli.run("eval", "--tasks", "poetry");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("\"poetry\"", "arith, tool, extract, text:wordnet");
  }

  @Test
  void aLimitBelowOneIsRefused() {
    assertThat(Cli.run("eval", "--limit", "0").exitCode()).isEqualTo(2);
    assertThat(Cli.run("eval", "--limit", "few").err()).contains("few");
  }

  @Test
  void aFileWithoutTasksIsRefused(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("eval.json"), "{\"arith\": [{\"q\": 1}]}");
    Cli run = Cli.run("eval", "--tasks-file", file.toString());

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("each item must have a string: key=arith.q");
    assertThat(Cli.run("eval", "--tasks-file", "none.json").err()).contains("NoSuchFileException");
  }
}
