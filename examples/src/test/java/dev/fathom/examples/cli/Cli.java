package dev.fathom.examples.cli;

import dev.fathom.examples.console.Terminal;
import dev.fathom.json.Json;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * One run of the command line inside this process, and what it left.
 *
 * @param exitCode of the run
 * @param out standard output
 * @param err standard error
 */
record Cli(int exitCode, String out, String err) {

  /** The bundled sample, as the tests' working folder sees it. */
  static final Path SAMPLE = Path.of("models", "sample");

  /** Runs with an empty input and piped outputs. */
  static Cli run(String... args) {
    return runWithInput("", args);
  }

  /** Runs with piped input and outputs. */
  static Cli runWithInput(String input, String... args) {
    return run(input, false, false, args);
  }

  /** Runs as if a person sat at the outputs. */
  static Cli runAtTerminal(boolean color, String... args) {
    return run("", true, color, args);
  }

  private static Cli run(String input, boolean terminal, boolean color, String... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int exitCode =
        CommandLineApp.run(
            args,
            new Terminal(
                new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)),
                new PrintStream(out, false, StandardCharsets.UTF_8),
                new PrintStream(err, false, StandardCharsets.UTF_8),
                false,
                terminal,
                terminal,
                color));
    return new Cli(
        exitCode, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /** Returns a value as compact JSON. */
  static String text(@Nullable JsonValue value) {
    return value == null ? "missing" : JsonWriter.compact(value);
  }

  /** Returns the one document on standard output. */
  JsonObject json() {
    if (Json.parse(out, JsonLimits.DEFAULT) instanceof JsonObject object) {
      return object;
    }
    throw new AssertionError("expected a JSON object, got " + out);
  }

  /** Returns an object of the document. */
  JsonObject json(String key) {
    if (json().get(key) instanceof JsonObject object) {
      return object;
    }
    throw new AssertionError("expected an object under " + key + ", got " + out);
  }
}
