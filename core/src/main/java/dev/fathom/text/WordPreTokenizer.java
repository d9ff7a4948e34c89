package dev.fathom.text;

import static dev.fathom.text.CharClass.HAN_KANA;
import static dev.fathom.text.CharClass.LETTER;
import static dev.fathom.text.CharClass.NEWLINE;
import static dev.fathom.text.CharClass.NUMBER;
import static dev.fathom.text.CharClass.OTHER;
import static dev.fathom.text.CharClass.PUNCTUATION;
import static dev.fathom.text.CharClass.SPACE;
import static dev.fathom.text.CharClass.SURROGATE;

/**
 * The pieces of the tokenizers of Qwen2 and Llama 3, on which the distilled models are built: one
 * pattern, an alternation of English contractions, words with one character in front, numbers,
 * punctuation and white space. They differ in how many digits make a number.
 */
final class WordPreTokenizer implements PreTokenizer {

  /** As the file writes it, with one digit a number. */
  static final String QWEN_PATTERN = pattern("\\p{N}");

  /** As the file writes it, with up to three digits a number. */
  static final String LLAMA_PATTERN = pattern("\\p{N}{1,3}");

  private static final int LONG_S = 0x17F;

  private final int maxDigits;

  /** Creates the one of Qwen2 for 1 and of Llama 3 for 3. */
  WordPreTokenizer(int maxDigits) {
    this.maxDigits = maxDigits;
  }

  private static String pattern(String number) {
    return "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
        + number
        + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  }

  @Override
  public int pieceEnd(char[] text, int start, int end) {
    int next = next(text, start, end);
    if (text[start] == '\'') {
      int len = contractionLen(text, next, end);
      if (len > 0) {
        return next + len;
      }
    }
    byte c = classAt(text, start, end);
    if (c == LETTER) {
      return runEnd(text, next, end, LETTER);
    }
    if (c == NUMBER) {
      return numberEnd(text, next, end);
    }
    if (c != NEWLINE && next < end && classAt(text, next, end) == LETTER) {
      return runEnd(text, next, end, LETTER);
    }
    if (c == SPACE || c == NEWLINE) {
      boolean leads = text[start] == ' ' && next < end && isOther(classAt(text, next, end));
      return leads ? otherEnd(text, next, end) : whiteSpaceEnd(text, start, end);
    }
    return otherEnd(text, next, end);
  }

  /** Length of what follows an apostrophe in a contraction, 0 if it is none. */
  private static int contractionLen(char[] text, int i, int end) {
    if (i >= end) {
      return 0;
    }
    int first = lower(text[i]);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') {
      return 1;
    }
    int second = i + 1 < end ? lower(text[i + 1]) : 0;
    boolean two =
        (first == 'r' && second == 'e')
            || (first == 'v' && second == 'e')
            || (first == 'l' && second == 'l');
    return two ? 2 : 0;
  }

  /** Folds case as the pattern does, for which the long s is an s. */
  private static int lower(char c) {
    return c == LONG_S ? 's' : c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
  }

  private static int runEnd(char[] text, int i, int end, byte kind) {
    int p = i;
    while (p < end && classAt(text, p, end) == kind) {
      p = next(text, p, end);
    }
    return p;
  }

  private int numberEnd(char[] text, int i, int end) {
    int p = i;
    for (int n = 1; n < maxDigits && p < end && classAt(text, p, end) == NUMBER; n++) {
      p = next(text, p, end);
    }
    return p;
  }

  private static int otherEnd(char[] text, int i, int end) {
    int p = i;
    while (p < end && isOther(classAt(text, p, end))) {
      p = next(text, p, end);
    }
    return runEnd(text, p, end, NEWLINE);
  }

  /** Neither letter nor number nor white space. */
  private static boolean isOther(byte c) {
    return c != LETTER && c != NUMBER && c != SPACE && c != NEWLINE;
  }

  /** White space up to its last line end; without one all of it, or all but the last. */
  private static int whiteSpaceEnd(char[] text, int start, int end) {
    int p = start;
    int afterNewline = -1;
    byte c = p < end ? classAt(text, p, end) : OTHER;
    while (p < end && (c == SPACE || c == NEWLINE)) {
      p++;
      if (c == NEWLINE) {
        afterNewline = p;
      }
      c = p < end ? classAt(text, p, end) : OTHER;
    }
    if (afterNewline >= 0) {
      return afterNewline;
    }
    return p == end || p - start == 1 ? p : p - 1;
  }

  private static int next(char[] text, int i, int end) {
    boolean pair =
        i + 1 < end && Character.isHighSurrogate(text[i]) && Character.isLowSurrogate(text[i + 1]);
    return pair ? i + 2 : i + 1;
  }

  private static byte classAt(char[] text, int i, int end) {
    byte c = CharClass.ofUnit(text[i]);
    if (c == SURROGATE) {
      c =
          next(text, i, end) == i + 2
              ? CharClass.ofCodePoint(Character.toCodePoint(text[i], text[i + 1]))
              : PUNCTUATION;
    }
    return (byte) (c & ~HAN_KANA);
  }
}
