package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.json.Json;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Answers of a format on the command line. */
class FormatOptionsTest {

  @TempDir Path folder;

  private String file(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text).toString();
  }

  private static Cli generate(String... options) {
    String[] args = new String[options.length + 6];
    args[0] = "generate";
    System.arraycopy(options, 0, args, 1, options.length);
    System.arraycopy(
        new String[] {"--max-tokens", "60", "--seed", "3", "The answer:"},
        0,
        args,
        options.length + 1,
        5);
    return Cli.run(args);
  }

  @Test
  void aChoiceIsOneOfTheTexts() {
    Cli run = generate("--choice", "maybe so", "--choice", "never");

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out().strip()).isIn("maybe so", "never");
  }

  @Test
  void aRegularExpressionIsMatchedByAllOfTheAnswer() {
    Cli run = generate("--regex", "[0-9]{4}-(0[1-9]|1[0-2])");

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out().strip()).matches("[0-9]{4}-(0[1-9]|1[0-2])");
  }

  @Test
  void aSchemaIsReadFromAFile() throws IOException {
    String schema =
        """
        {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 5}},
         "required": ["n"]}\
        """;
    Cli run = generate("--json-schema", file("schema.json", schema));

    assertThat(run.exitCode()).as(run.err()).isZero();
    JsonObject answer = (JsonObject) Json.parse(run.out(), JsonLimits.DEFAULT);
    assertThat(((JsonNumber) answer.get("n")).text()).isIn("3", "4", "5");
  }

  @Test
  void aGrammarIsReadFromAFile() throws IOException {
    Cli run = generate("--grammar", file("g.gbnf", "root ::= \"a\" root | \"b\"{2}"));

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out().strip()).matches("a*bb|a+");
  }

  @Test
  void chatKnowsTheSameOptions() {
    Cli run = Cli.run("chat", "--choice", "Oslo", "What is the capital of Japan?");

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out().strip()).isEqualTo("Oslo");
  }

  @Test
  void twoFormatsAMissingFileAndAMalformedOneAreRefusedWithTheFix() throws IOException {
    Cli two = generate("--json-object", "--choice", "a");
    assertThat(two.exitCode()).isEqualTo(2);
    assertThat(two.err()).contains("An answer has one format", "give one of them");
    Cli missing = generate("--json-schema", folder.resolve("none.json").toString());
    assertThat(missing.exitCode()).isEqualTo(2);
    assertThat(missing.err()).contains("none.json cannot be read", "check its name");
    Cli malformed = generate("--regex", "(a");
    assertThat(malformed.exitCode()).isNotZero();
    assertThat(malformed.err()).contains("FATHOM-5002");
    Cli unsupported = generate("--json-schema", file("not.json", "{\"not\": {}}"));
    assertThat(unsupported.exitCode()).isNotZero();
    assertThat(unsupported.err()).contains("FATHOM-5003", "leave the keyword out");
  }
}
