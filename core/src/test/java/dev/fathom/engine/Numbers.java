package dev.fathom.engine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.TestReporter;

/** Where tests leave what they measured: the report, and target/engine-numbers.txt. */
final class Numbers {

  private Numbers() {}

  static void note(TestReporter reporter, String line) {
    reporter.publishEntry(line);
    try {
      Files.createDirectories(Path.of("target"));
      Files.writeString(
          Path.of("target", "engine-numbers.txt"),
          line + "\n",
          StandardOpenOption.CREATE,
          StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
