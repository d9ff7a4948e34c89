package dev.fathom.text;

import static dev.fathom.text.ControlTokens.CALLS_BEGIN;
import static dev.fathom.text.ControlTokens.CALLS_END;
import static dev.fathom.text.ControlTokens.CALL_BEGIN;
import static dev.fathom.text.ControlTokens.CALL_END;
import static dev.fathom.text.ControlTokens.DSML;
import static dev.fathom.text.ControlTokens.SEPARATOR;

import java.util.List;

/**
 * How a family writes the calls of an answer, for whoever holds a model to it: {@code opening},
 * then for each call {@code begin} name {@code middle} arguments {@code end}, then {@code closing}.
 * {@link OutputParser} reads back just this.
 *
 * @param opening what the calls start with, wherever it stands in an answer
 * @param begin what a call starts with
 * @param middle what stands between name and arguments
 * @param end what a call ends with
 * @param separator what may stand between two calls, empty for nothing
 * @param closing what ends the calls
 * @param arguments how arguments are written
 */
public record CallNotation(
    String opening,
    String begin,
    String middle,
    String end,
    String separator,
    String closing,
    Arguments arguments) {

  /** How the arguments of a call are written. */
  public enum Arguments {
    /** As one JSON object. */
    JSON,
    /** As one element for each, with strings as they are and all else as JSON. */
    ELEMENTS
  }

  /** The texts that are one token where the vocabulary has it. */
  public static final List<String> CONTROLS =
      List.of(CALLS_BEGIN, CALLS_END, CALL_BEGIN, CALL_END, SEPARATOR, DSML);

  /**
   * The character that no argument holds as it is, U+FF5C: every mark has it, so that none can
   * stand inside an argument.
   */
  public static final char BAR = '\uFF5C';

  /** What an argument's element starts with; its name follows. */
  public static final String ELEMENT_BEGIN = "<" + DSML + "parameter name=\"";

  /** What follows the name where a string comes. */
  public static final String ELEMENT_TEXT = "\" string=\"true\">";

  /** What follows the name where JSON comes. */
  public static final String ELEMENT_JSON = "\" string=\"false\">";

  /** What an argument's element ends with. */
  public static final String ELEMENT_END = "</" + DSML + "parameter>";

  /** What stands between two elements. */
  public static final String ELEMENT_SEPARATOR = "\n";

  static final CallNotation BARE =
      new CallNotation(CALLS_BEGIN, CALL_BEGIN, SEPARATOR, CALL_END, "", CALLS_END, Arguments.JSON);

  static final CallNotation FENCED =
      new CallNotation(
          CALLS_BEGIN,
          CALL_BEGIN + "function" + SEPARATOR,
          "\n```json\n",
          "\n```" + CALL_END,
          "\n",
          CALLS_END,
          Arguments.JSON);

  static CallNotation elements(String block) {
    return new CallNotation(
        "<" + DSML + block + ">",
        "\n<" + DSML + "invoke name=\"",
        "\">\n",
        "\n</" + DSML + "invoke>",
        "",
        "\n</" + DSML + block + ">",
        Arguments.ELEMENTS);
  }

  /** Returns whether a tool's name can be written so that it is read back. */
  public static boolean canName(String name) {
    return !name.isBlank()
        && name.strip().equals(name)
        && name.chars().noneMatch(c -> c == '"' || c == '<' || c == BAR || c < ' ');
  }
}
