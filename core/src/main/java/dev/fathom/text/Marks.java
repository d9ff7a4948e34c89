package dev.fathom.text;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** Finds marks, such as {@code </think>}, in text that arrives in parts. */
final class Marks {
  private Marks() {}

  /** A mark and where it starts. */
  record Found(String mark, int start) {}

  /** Returns the leftmost of the marks, null if none is there. No mark may start another. */
  static @Nullable Found first(StringBuilder text, List<String> marks) {
    Found first = null;
    for (String mark : marks) {
      int at = text.indexOf(mark);
      if (at >= 0 && (first == null || at < first.start())) {
        first = new Found(mark, at);
      }
    }
    return first;
  }

  /** Returns the length of the longest end of the text that may be the start of a mark. */
  static int heldBack(StringBuilder text, List<String> marks) {
    int longest = 0;
    for (String mark : marks) {
      for (int len = Math.min(mark.length() - 1, text.length()); len > longest; len--) {
        if (endsWith(text, mark, len)) {
          longest = len;
        }
      }
    }
    return longest;
  }

  /** Returns whether the text from {@code from} on is a start of the mark, or the mark. */
  static boolean mayStart(StringBuilder text, int from, String mark) {
    int len = Math.min(text.length() - from, mark.length());
    for (int i = 0; i < len; i++) {
      if (text.charAt(from + i) != mark.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  private static boolean endsWith(StringBuilder text, String mark, int len) {
    int from = text.length() - len;
    for (int i = 0; i < len; i++) {
      if (text.charAt(from + i) != mark.charAt(i)) {
        return false;
      }
    }
    return true;
  }
}
