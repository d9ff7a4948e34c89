package dev.fathom.text;

import java.util.ArrayList;
import java.util.List;

/**
 * The pieces of DeepSeek LLM (also MoE, V2, V2.5, Coder-V2) and of the first Coder, in one pass.
 *
 * <p>Their files describe splits in sequence, each applied to every piece of the one before: line
 * ends; words, with the white space in front; punctuation, with the white space in front, where the
 * set of DeepSeek LLM holds the ASCII letters too and so parts words at others; white space at the
 * end of a piece (DeepSeek LLM only); runs of Han, Kana, Hangul and their neighbours; digits one by
 * one. A piece ends where any of the splits ends one, and each of them can be told from the
 * characters around the place, so that no piece is looked at twice.
 */
final class DeepSeekLlmPreTokenizer implements PreTokenizer {

  private static final int LETTER = 1;
  private static final int SPACE = 2;
  private static final int PUNCTUATION = 4;
  private static final int WIDE = 8;
  private static final int NUMBER = 16;
  private static final int NEWLINE = 32;

  private static final String WIDE_PATTERN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";

  /** The letters of DeepSeek LLM: ASCII's, then these code points and ranges. */
  private static final String LETTERS =
      "B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376 377 37B-37D 37F 386 388-38A 38C"
          + " 38E-3A1 3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA"
          + " 1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D"
          + " 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC"
          + " 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D"
          + " 2124 2126 2128 212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183 2184 2C00-2C7B"
          + " 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 A640-A66D A680-A69B A722-A76F A771-A787 A78B-A78E"
          + " AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3 104D8-104FB"
          + " 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943";

  private static final int[][] LETTER_RANGES = ranges(LETTERS);

  /** The punctuation of DeepSeek LLM; the second range holds the ASCII letters. */
  private static final int[][] PUNCTUATION_RANGES =
      ranges("21-2F 3A-7E FF01-FF0F FF1A-FF5E 2018-201F 3000-3002");

  /** The splits of DeepSeek LLM as the file writes them, digits excepted. */
  static final List<String> LLM_PATTERNS =
      List.of(
          "[\r\n]",
          "\\s?[A-Za-z" + written(LETTER_RANGES) + "]+",
          "\\s?[" + written(PUNCTUATION_RANGES) + "]+",
          "\\s+$",
          WIDE_PATTERN);

  /** The splits of the first Coder as the file writes them, digits excepted. */
  static final List<String> CODER_PATTERNS =
      List.of("[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", WIDE_PATTERN);

  private static final DeepSeekLlmPreTokenizer LLM = new DeepSeekLlmPreTokenizer(true);
  private static final DeepSeekLlmPreTokenizer CODER = new DeepSeekLlmPreTokenizer(false);

  private final boolean isLlm;
  private final byte[] ofUnit = new byte[1 << 16];

  private DeepSeekLlmPreTokenizer(boolean isLlm) {
    this.isLlm = isLlm;
    for (int c = 0; c < ofUnit.length; c++) {
      ofUnit[c] = (byte) flags(Character.isSurrogate((char) c) ? 0xFFFD : c);
    }
  }

  /** Returns the one of {@link #LLM_PATTERNS}. */
  static DeepSeekLlmPreTokenizer llm() {
    return LLM;
  }

  /** Returns the one of {@link #CODER_PATTERNS}. */
  static DeepSeekLlmPreTokenizer coder() {
    return CODER;
  }

  @Override
  public int pieceEnd(char[] text, int start, int end) {
    int i = start;
    int j = next(text, i, end);
    while (j < end && !isBoundary(text, i, j, end)) {
      i = j;
      j = next(text, i, end);
    }
    return j;
  }

  /** Whether a piece ends between the neighbours {@code i} and {@code j}. */
  private boolean isBoundary(char[] text, int i, int j, int end) {
    int left = flagsAt(text, i, end);
    int right = flagsAt(text, j, end);
    if (((left | right) & (NEWLINE | NUMBER)) != 0 || ((left ^ right) & WIDE) != 0) {
      return true;
    }
    if (partsWords(text, i, j, end) || partsPunctuation(text, i, j, end)) {
      return true;
    }
    return isLlm && (left & SPACE) == 0 && (right & SPACE) != 0 && isTrailingSpace(text, j, end);
  }

  /** The split of words: a word is letters and the white space in front of them. */
  private boolean partsWords(char[] text, int i, int j, int end) {
    int left = flagsAt(text, i, end);
    int right = flagsAt(text, j, end);
    int after = flagsAt(text, next(text, j, end), end);
    if ((right & NEWLINE) != 0) {
      return true;
    }
    boolean leftIn = isIn(left, right, LETTER);
    boolean rightIn = isIn(right, after, LETTER);
    return leftIn != rightIn || (rightIn && (right & SPACE) != 0);
  }

  /** The split of punctuation, where the neighbours are in one piece of the words' split. */
  private boolean partsPunctuation(char[] text, int i, int j, int end) {
    int left = flagsAt(text, i, end);
    int right = flagsAt(text, j, end);
    boolean leftIn = isIn(left, right, PUNCTUATION);
    boolean rightIn = (right & PUNCTUATION) != 0;
    if (!rightIn && (right & SPACE) != 0) {
      int k = next(text, j, end);
      rightIn = (flagsAt(text, k, end) & PUNCTUATION) != 0 && !partsWords(text, j, k, end);
      return leftIn || rightIn;
    }
    return leftIn != rightIn;
  }

  /** Whether a character is of the kind, or white space in front of one. */
  private static boolean isIn(int flags, int following, int kind) {
    return (flags & kind) != 0 || ((flags & SPACE) != 0 && (following & kind) != 0);
  }

  /** Whether the white space from {@code i} on reaches the end of its piece. */
  private boolean isTrailingSpace(char[] text, int i, int end) {
    int p = i;
    int q = next(text, p, end);
    while (q < end && !partsWords(text, p, q, end) && !partsPunctuation(text, p, q, end)) {
      if ((flagsAt(text, q, end) & SPACE) == 0) {
        return false;
      }
      p = q;
      q = next(text, p, end);
    }
    return true;
  }

  private static int next(char[] text, int i, int end) {
    boolean pair =
        i + 1 < end && Character.isHighSurrogate(text[i]) && Character.isLowSurrogate(text[i + 1]);
    return pair ? i + 2 : i + 1;
  }

  /** The flags of the code point at an index, none at the end. */
  private int flagsAt(char[] text, int i, int end) {
    if (i >= end) {
      return 0;
    }
    return next(text, i, end) == i + 2
        ? flags(Character.toCodePoint(text[i], text[i + 1]))
        : ofUnit[text[i]];
  }

  private int flags(int c) {
    if (c == '\n' || c == '\r') {
      return NEWLINE;
    }
    int kind = CharClass.ofCodePoint(c) & ~CharClass.HAN_KANA;
    boolean letter = isLlm ? isAsciiLetter(c) || isIn(LETTER_RANGES, c) : kind == CharClass.LETTER;
    boolean punctuation = isLlm ? isIn(PUNCTUATION_RANGES, c) : isPunctuation(c);
    boolean wide = (c >= 0x800 && c <= 0x9FA5) || (c >= 0xAC00 && c <= 0xD7FF);
    return (letter ? LETTER : 0)
        | (kind == CharClass.SPACE ? SPACE : 0)
        | (punctuation ? PUNCTUATION : 0)
        | (wide ? WIDE : 0)
        | (kind == CharClass.NUMBER ? NUMBER : 0);
  }

  private static boolean isAsciiLetter(int c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  }

  private static boolean isIn(int[][] ranges, int c) {
    for (int[] range : ranges) {
      if (c >= range[0] && c <= range[1]) {
        return true;
      }
    }
    return false;
  }

  /** {@code \p{P}} alone, without {@code \p{S}}. */
  private static boolean isPunctuation(int c) {
    return switch (Character.getType(c)) {
      case Character.DASH_PUNCTUATION,
          Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.CONNECTOR_PUNCTUATION,
          Character.OTHER_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION ->
          true;
      default -> false;
    };
  }

  private static int[][] ranges(String hex) {
    List<int[]> ranges = new ArrayList<>();
    int from = 0;
    while (from < hex.length()) {
      int space = hex.indexOf(' ', from);
      int to = space < 0 ? hex.length() : space;
      int dash = hex.indexOf('-', from);
      boolean single = dash < 0 || dash > to;
      int first = Integer.parseInt(hex, from, single ? to : dash, 16);
      int last = single ? first : Integer.parseInt(hex, dash + 1, to, 16);
      ranges.add(new int[] {first, last});
      from = to + 1;
    }
    return ranges.toArray(int[][]::new);
  }

  /** The ranges as a character class of the file writes them. */
  private static String written(int[][] ranges) {
    StringBuilder out = new StringBuilder();
    for (int[] range : ranges) {
      out.appendCodePoint(range[0]);
      if (range[1] > range[0]) {
        out.append('-').appendCodePoint(range[1]);
      }
    }
    return out.toString();
  }
}
