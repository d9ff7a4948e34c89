package dev.fathom.examples.cli;

import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Terminal;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** The whole of standard input as text. */
final class InputText {

  private static final int MAX_BYTES = 64 << 20;

  private InputText() {}

  /**
   * Reads the input to its end; one newline at its end, which echo puts there, is left out.
   *
   * @throws Failure where a person would have to type it, or where it is huge
   */
  static String read(Terminal terminal) {
    if (terminal.inIsTerminal()) {
      throw Failure.usage(
          "There is no text", "neither an argument nor a pipe gives one", "give it in quotes");
    }
    try {
      byte[] bytes = terminal.in().readNBytes(MAX_BYTES + 1);
      if (bytes.length > MAX_BYTES) {
        throw Failure.usage(
            "The text is too long", "standard input has more than 64 MiB", "give a shorter one");
      }
      String text = new String(bytes, StandardCharsets.UTF_8);
      return text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
    } catch (IOException e) {
      throw Failure.failure(
          "Standard input could not be read",
          String.valueOf(e.getMessage()),
          "check where the input comes from",
          e);
    }
  }
}
