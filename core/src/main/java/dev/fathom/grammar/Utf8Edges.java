package dev.fathom.grammar;

import java.util.HashMap;
import java.util.Map;

/**
 * Writes sets of code points into a network as the byte sequences of well-formed UTF-8, or of the
 * inside of a JSON string.
 */
final class Utf8Edges {

  private static final int[] MAX_OF_LEN = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
  private static final CodePoints MUST_ESCAPE =
      CodePoints.ofRange(0, 0x1F).or(CodePoints.of('"', '\\'));
  private static final String SHORT = "\"\\\b\f\n\r\t";
  private static final String SHORT_LETTERS = "\"\\bfnrt";
  private static final String HEX = "0123456789abcdef";

  private final NetworkBuilder out;
  private final CodePoints escaped;
  private final CodePoints plain;

  /** States that read one range of bytes and then go to a target: ends of sequences are shared. */
  private final Map<Tail, Integer> tails = new HashMap<>();

  private record Tail(int rule, long ranges, int len, int target) {}

  /**
   * Writes into a network.
   *
   * @param extra what JSON strings write as an escape only, beside what they must; below U+10000
   */
  Utf8Edges(NetworkBuilder out, CodePoints extra) {
    this.out = out;
    this.escaped = MUST_ESCAPE.or(extra);
    this.plain = escaped.complement();
  }

  /** Adds paths from a state to another for each member of a set. */
  void chars(int from, CodePoints set, boolean json, int target) {
    CodePoints raw = json ? set.and(plain) : set;
    for (int i = 0; i < raw.numRanges(); i++) {
      range(from, raw.first(i), raw.last(i), target);
    }
    if (json) {
      escapes(from, set.and(escaped), target);
    }
  }

  private void escapes(int from, CodePoints set, int target) {
    if (set.isEmpty()) {
      return;
    }
    int slash = out.newState();
    out.bytes(from, '\\', '\\', slash);
    for (int i = 0; i < set.numRanges(); i++) {
      for (int c = set.first(i); c <= set.last(i); c++) {
        int at = SHORT.indexOf(c);
        if (at >= 0) {
          out.bytes(slash, SHORT_LETTERS.charAt(at), SHORT_LETTERS.charAt(at), target);
        } else {
          int digits = literal(slash, "u");
          for (int shift = 12; shift > 0; shift -= 4) {
            int next = out.newState();
            hexDigit(digits, HEX.charAt(c >> shift & 15), next);
            digits = next;
          }
          hexDigit(digits, HEX.charAt(c & 15), target);
        }
      }
    }
  }

  private int literal(int from, String text) {
    int at = from;
    for (int i = 0; i < text.length(); i++) {
      int next = out.newState();
      out.bytes(at, text.charAt(i), text.charAt(i), next);
      at = next;
    }
    return at;
  }

  private void hexDigit(int from, char digit, int target) {
    out.bytes(from, digit, digit, target);
    if (digit >= 'a') {
      out.bytes(from, digit - 32, digit - 32, target);
    }
  }

  /** Any character of a JSON string, escaped or not; surrogates only in pairs. */
  void jsonChar(int from, int target) {
    chars(from, plain, false, target);
    int slash = out.newState();
    out.bytes(from, '\\', '\\', slash);
    for (char c : "\"\\/bfnrt".toCharArray()) {
      out.bytes(slash, c, c, target);
    }
    int unicode = literal(slash, "u");
    int[] left = new int[4];
    for (int i = 1; i < 4; i++) {
      left[i] = out.newState();
    }
    left[0] = target;
    for (int i = 1; i < 4; i++) {
      hex(left[i], left[i - 1]);
    }
    out.bytes(unicode, '0', '9', left[3]);
    for (int upper : new int[] {0, 32}) {
      out.bytes(unicode, 'A' + upper, 'C' + upper, left[3]);
      out.bytes(unicode, 'E' + upper, 'F' + upper, left[3]);
      int d = out.newState();
      out.bytes(unicode, 'D' + upper, 'D' + upper, d);
      out.bytes(d, '0', '7', left[2]);
      int high = out.newState();
      out.bytes(d, '8', '9', high);
      out.bytes(d, 'A', 'B', high);
      out.bytes(d, 'a', 'b', high);
      lowSurrogate(high, left[2]);
    }
  }

  private void lowSurrogate(int from, int lastTwoDigits) {
    int second = out.newState();
    int third = out.newState();
    hex(from, second);
    hex(second, third);
    int d = literal(third, "\\u");
    int kind = out.newState();
    out.bytes(d, 'D', 'D', kind);
    out.bytes(d, 'd', 'd', kind);
    out.bytes(kind, 'C', 'F', lastTwoDigits);
    out.bytes(kind, 'c', 'f', lastTwoDigits);
  }

  private void hex(int from, int target) {
    out.bytes(from, '0', '9', target);
    out.bytes(from, 'A', 'F', target);
    out.bytes(from, 'a', 'f', target);
  }

  /** Splits a range where the number of bytes changes. */
  private void range(int from, int first, int last, int target) {
    int low = first;
    for (int len = 1; len <= 4 && low <= last; len++) {
      int high = Math.min(last, MAX_OF_LEN[len - 1]);
      if (low <= high) {
        sameLen(from, low, high, len, target);
        low = high + 1;
      }
    }
  }

  /** Splits a range until each part is a product of ranges of bytes. */
  private void sameLen(int from, int first, int last, int len, int target) {
    for (int i = 1; i < len; i++) {
      int mask = (1 << (6 * i)) - 1;
      if ((first & ~mask) != (last & ~mask)) {
        if ((first & mask) != 0) {
          sameLen(from, first, first | mask, len, target);
          sameLen(from, (first | mask) + 1, last, len, target);
          return;
        }
        if ((last & mask) != mask) {
          sameLen(from, first, (last & ~mask) - 1, len, target);
          sameLen(from, last & ~mask, last, len, target);
          return;
        }
      }
    }
    product(from, first, last, len, target);
  }

  private void product(int from, int first, int last, int len, int target) {
    int next = target;
    long ranges = 0;
    for (int i = 0; i < len - 1; i++) {
      int low = 0x80 | (first >> (6 * i) & 0x3F);
      int high = 0x80 | (last >> (6 * i) & 0x3F);
      ranges = ranges << 16 | (long) low << 8 | high;
      next = tail(new Tail(out.ruleOf[from], ranges, i + 1, target), low, high, next);
    }
    int lead = len == 1 ? 0 : 0xF00 >> len & 0xFF;
    int shift = 6 * (len - 1);
    out.bytes(from, lead | first >> shift, lead | last >> shift, next);
  }

  private int tail(Tail key, int low, int high, int next) {
    Integer known = tails.get(key);
    if (known != null) {
      return known;
    }
    int state = out.newState();
    out.bytes(state, low, high, next);
    tails.put(key, state);
    return state;
  }
}
