package dev.fathom.error;

import org.jspecify.annotations.Nullable;

/**
 * Quotes foreign text for messages and logs: what a file or a user wrote never breaks a line, never
 * moves a cursor and never fills a screen.
 */
public final class Text {

  /** Longest quoted text, in UTF-16 units. */
  public static final int MAX_QUOTED_LEN = 200;

  private Text() {}

  /**
   * Returns the text in double quotes, with control, line-separator, bidirectional and unpaired
   * surrogate characters escaped as {@code \\uXXXX}, cut after {@value #MAX_QUOTED_LEN} units.
   *
   * @param text foreign text; null reads as {@code null} without quotes
   */
  public static String quote(@Nullable CharSequence text) {
    if (text == null) {
      return "null";
    }
    StringBuilder out = new StringBuilder(text.length() + 2).append('"');
    int len = Math.min(text.length(), MAX_QUOTED_LEN);
    for (int i = 0; i < len; i++) {
      appendEscaped(out, text, i, len);
    }
    if (len < text.length()) {
      out.append("... (").append(text.length()).append(" characters)");
    }
    return out.append('"').toString();
  }

  private static void appendEscaped(StringBuilder out, CharSequence text, int i, int len) {
    char c = text.charAt(i);
    switch (c) {
      case '"' -> out.append("\\\"");
      case '\\' -> out.append("\\\\");
      case '\n' -> out.append("\\n");
      case '\r' -> out.append("\\r");
      case '\t' -> out.append("\\t");
      default -> {
        if (isPlain(text, i, len)) {
          out.append(c);
        } else {
          out.append("\\u").append(hex(c));
        }
      }
    }
  }

  private static String hex(char c) {
    String digits = Integer.toHexString(c);
    return "0000".substring(digits.length()) + digits;
  }

  private static boolean isPlain(CharSequence text, int i, int len) {
    char c = text.charAt(i);
    if (Character.isHighSurrogate(c)) {
      return i + 1 < len && Character.isLowSurrogate(text.charAt(i + 1));
    }
    if (Character.isLowSurrogate(c)) {
      return i > 0 && Character.isHighSurrogate(text.charAt(i - 1));
    }
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.UNASSIGNED ->
          false;
      default -> true;
    };
  }
}
