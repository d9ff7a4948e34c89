package dev.fathom.examples.cli;

import dev.fathom.error.Text;
import dev.fathom.examples.console.Failure;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Token ids as people write them: numbers between commas, blanks and square brackets. */
final class IdList {

  private static final int MAX_DIGITS = 9;

  private final String source;
  private int[] ids = new int[16];
  private int numIds;

  private IdList(String source) {
    this.source = source;
  }

  /**
   * Reads ids out of text.
   *
   * @param source where the text came from, for messages
   * @throws Failure where it holds something else, or nothing
   */
  static int[] parse(String source, String text) {
    return new IdList(source).parse(text);
  }

  /**
   * Reads ids out of a file.
   *
   * @throws Failure where it cannot be read, or holds something else
   */
  static int[] read(Path file) {
    String quoted = Text.quote(file.toString());
    try {
      return parse(quoted, Files.readString(file, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw Failure.usage(
          "The token ids could not be read",
          "reading " + quoted + " gave " + e.getClass().getSimpleName(),
          "give a file of numbers such as 0,17,5",
          e);
    }
  }

  private int[] parse(String text) {
    int start = 0;
    for (int i = 0; i <= text.length(); i++) {
      if (i == text.length() || isSeparator(text.charAt(i))) {
        if (i > start) {
          add(text.substring(start, i));
        }
        start = i + 1;
      }
    }
    if (numIds == 0) {
      throw wrong("it holds no number");
    }
    return Arrays.copyOf(ids, numIds);
  }

  private static boolean isSeparator(char c) {
    return c == ',' || c == '[' || c == ']' || Character.isWhitespace(c);
  }

  private void add(String word) {
    for (int i = 0; i < word.length(); i++) {
      if (word.charAt(i) < '0' || word.charAt(i) > '9') {
        throw wrong("a token id must be a number >= 0: id=" + Text.quote(word));
      }
    }
    if (word.length() > MAX_DIGITS) {
      throw wrong("a token id must have at most " + MAX_DIGITS + " digits: id=" + word);
    }
    if (numIds == ids.length) {
      ids = Arrays.copyOf(ids, numIds * 2);
    }
    ids[numIds++] = Integer.parseInt(word);
  }

  private Failure wrong(String why) {
    return Failure.usage(
        "The token ids in " + source + " cannot be used", why, "write them as 0,17,5");
  }
}
