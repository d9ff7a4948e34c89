package dev.fathom.examples.cli;

import dev.fathom.ResponseFormat;
import dev.fathom.examples.console.Failure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that hold answers to a format; at most one of them. */
final class FormatOptions {

  @Option(
      names = "--json-schema",
      paramLabel = "FILE",
      description = "Answer in JSON that is valid under this schema.")
  @Nullable Path jsonSchema;

  @Option(names = "--json-object", description = "Answer with a JSON object.")
  boolean jsonObject;

  @Option(
      names = "--regex",
      paramLabel = "PATTERN",
      description = "Answer with text that this regular expression matches.")
  @Nullable String regex;

  @Option(
      names = "--choice",
      paramLabel = "TEXT",
      description = "Answer with this text, or another --choice.")
  @Nullable List<String> choices;

  @Option(
      names = "--grammar",
      paramLabel = "FILE",
      description = "Answer with text of this grammar, in GBNF.")
  @Nullable Path grammar;

  /**
   * Returns the format, null for free text.
   *
   * @throws Failure if a file cannot be read, or several options are given
   */
  @Nullable ResponseFormat format() {
    List<ResponseFormat> given = new ArrayList<>();
    if (jsonSchema != null) {
      given.add(ResponseFormat.jsonSchema(read(jsonSchema)));
    }
    if (jsonObject) {
      given.add(ResponseFormat.jsonObject());
    }
    if (regex != null) {
      given.add(ResponseFormat.regex(regex));
    }
    if (choices != null) {
      given.add(ResponseFormat.choice(choices));
    }
    if (grammar != null) {
      given.add(ResponseFormat.grammar(read(grammar)));
    }
    if (given.size() > 1) {
      throw Failure.usage(
          "An answer has one format",
          "several of --json-schema, --json-object, --regex, --choice, --grammar were given",
          "give one of them");
    }
    return given.isEmpty() ? null : given.getFirst();
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw Failure.usage(
          "The file " + file + " cannot be read",
          e.getClass().getSimpleName(),
          "check its name, and that it is text in UTF-8");
    }
  }
}
