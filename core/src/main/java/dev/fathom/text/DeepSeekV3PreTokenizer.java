package dev.fathom.text;

import static dev.fathom.text.CharClass.HAN_KANA;
import static dev.fathom.text.CharClass.LETTER;
import static dev.fathom.text.CharClass.MARK;
import static dev.fathom.text.CharClass.NEWLINE;
import static dev.fathom.text.CharClass.NUMBER;
import static dev.fathom.text.CharClass.OTHER;
import static dev.fathom.text.CharClass.PUNCTUATION;
import static dev.fathom.text.CharClass.SPACE;
import static dev.fathom.text.CharClass.SURROGATE;

import java.util.List;

/**
 * The pieces of DeepSeek V3, R1, V3.1, V3.2 and V4, in one pass.
 *
 * <p>The file describes three splits in sequence, each applied to every piece of the one before:
 * numbers in groups of up to three; runs of Han and Kana; then an alternation of words, punctuation
 * and white space. So a number, or a change between Han and Kana and anything else, ends the text
 * as far as the third pattern is concerned: its look-ahead {@code \s+(?!\S)} finds nothing behind
 * white space that they follow. Inside a run of Han and Kana the third pattern still parts letters
 * from the few symbols there. What no alternative matches (controls, unassigned code points) forms
 * pieces of its own.
 */
final class DeepSeekV3PreTokenizer implements PreTokenizer {

  /** The patterns as the file writes them, in order; all with behaviour Isolated. */
  static final List<String> PATTERNS =
      List.of(
          "\\p{N}{1,3}",
          "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
          "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
              + "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
              + "| ?[\\p{P}\\p{S}]+[\r\n]*"
              + "|\\s*[\r\n]+"
              + "|\\s+(?!\\S)"
              + "|\\s+");

  private static final int MAX_DIGITS = 3;

  @Override
  public int pieceEnd(char[] text, int start, int end) {
    int next = start + width(text, start, end);
    return switch (classAt(text, start, end)) {
      case LETTER, MARK -> wordEnd(text, next, end);
      case SPACE -> fromSpace(text, start, end);
      case PUNCTUATION -> fromPunctuation(text, start, next, end);
      case NUMBER -> numberEnd(text, next, end);
      case HAN_KANA + LETTER, HAN_KANA + MARK -> hanWordEnd(text, next, end);
      case HAN_KANA + PUNCTUATION -> hanPunctuationEnd(text, next, end);
      case HAN_KANA + OTHER -> hanOtherEnd(text, next, end);
      case NEWLINE -> whiteSpaceEnd(text, start, end);
      default -> otherEnd(text, next, end);
    };
  }

  /** The class of the code point at an index, {@link CharClass#OTHER} at the end. */
  private static byte classAt(char[] text, int i, int end) {
    if (i >= end) {
      return OTHER;
    }
    byte c = CharClass.ofUnit(text[i]);
    return c == SURROGATE ? classOfPair(text, i, end) : c;
  }

  private static byte classOfPair(char[] text, int i, int end) {
    return width(text, i, end) == 2
        ? CharClass.ofCodePoint(Character.toCodePoint(text[i], text[i + 1]))
        : PUNCTUATION;
  }

  private static int width(char[] text, int i, int end) {
    return Character.isHighSurrogate(text[i])
            && i + 1 < end
            && Character.isLowSurrogate(text[i + 1])
        ? 2
        : 1;
  }

  /** End of the letters and marks from {@code i} on. */
  private static int wordEnd(char[] text, int i, int end) {
    int p = i;
    while (p < end) {
      byte c = CharClass.ofUnit(text[p]);
      if (c == LETTER || c == MARK) {
        p++;
      } else if (c == SURROGATE && isWordPart(classOfPair(text, p, end))) {
        p += 2;
      } else {
        break;
      }
    }
    return p;
  }

  private static boolean isWordPart(byte c) {
    return c == LETTER || c == MARK;
  }

  private static int fromSpace(char[] text, int start, int end) {
    byte next = classAt(text, start + 1, end);
    if (start + 1 < end && isWordPart(next)) {
      return wordEnd(text, start + 1, end);
    }
    if (next == PUNCTUATION && text[start] == ' ') {
      return punctuationEnd(text, start + 1, end);
    }
    return whiteSpaceEnd(text, start, end);
  }

  private static int fromPunctuation(char[] text, int start, int next, int end) {
    if (text[start] < 0x80 && next < end && isAsciiLetter(text[next])) {
      int p = next + 1;
      while (p < end && isAsciiLetter(text[p])) {
        p++;
      }
      return p;
    }
    return punctuationEnd(text, next, end);
  }

  private static boolean isAsciiLetter(char c) {
    int lower = c | 0x20;
    return lower >= 'a' && lower <= 'z';
  }

  /** End of the punctuation from {@code i} on and of the line ends behind it. */
  private static int punctuationEnd(char[] text, int i, int end) {
    int p = i;
    while (p < end && classAt(text, p, end) == PUNCTUATION) {
      p += width(text, p, end);
    }
    while (p < end && CharClass.ofUnit(text[p]) == NEWLINE) {
      p++;
    }
    return p;
  }

  /**
   * White space up to its last line end; without one, all of it where nothing follows, else all but
   * the last, which belongs to what follows.
   */
  private static int whiteSpaceEnd(char[] text, int start, int end) {
    int p = start;
    int afterNewline = -1;
    byte c = classAt(text, p, end);
    while (p < end && (c == SPACE || c == NEWLINE)) {
      p++;
      if (c == NEWLINE) {
        afterNewline = p;
      }
      c = classAt(text, p, end);
    }
    if (afterNewline >= 0) {
      return afterNewline;
    }
    boolean nothingFollows = p == end || c == NUMBER || c >= HAN_KANA;
    return nothingFollows || p - start == 1 ? p : p - 1;
  }

  private static int numberEnd(char[] text, int i, int end) {
    int p = i;
    for (int n = 1; n < MAX_DIGITS && p < end && classAt(text, p, end) == NUMBER; n++) {
      p += width(text, p, end);
    }
    return p;
  }

  private static int hanWordEnd(char[] text, int i, int end) {
    int p = i;
    while (p < end && isHanWordPart(CharClass.ofUnit(text[p]))) {
      p++;
    }
    return p;
  }

  private static boolean isHanWordPart(byte c) {
    return c == HAN_KANA + LETTER || c == HAN_KANA + MARK;
  }

  private static int hanPunctuationEnd(char[] text, int i, int end) {
    int p = i;
    while (p < end && CharClass.ofUnit(text[p]) == HAN_KANA + PUNCTUATION) {
      p++;
    }
    return p;
  }

  /** As {@link #otherEnd} inside a run of Han and Kana. */
  private static int hanOtherEnd(char[] text, int i, int end) {
    int p = i;
    while (p < end && CharClass.ofUnit(text[p]) == HAN_KANA + OTHER) {
      p++;
    }
    if (p == end || !isHanWordPart(CharClass.ofUnit(text[p]))) {
      return p;
    }
    return p == i ? hanWordEnd(text, p, end) : p - 1;
  }

  /** One character in front of a word joins it; a run of others is a piece up to there. */
  private static int otherEnd(char[] text, int i, int end) {
    int p = i;
    if (isWordPart(classAt(text, p, end))) {
      return wordEnd(text, p, end);
    }
    while (p < end && classAt(text, p, end) == OTHER) {
      int next = p + width(text, p, end);
      if (isWordPart(classAt(text, next, end))) {
        return p;
      }
      p = next;
    }
    return p;
  }
}
