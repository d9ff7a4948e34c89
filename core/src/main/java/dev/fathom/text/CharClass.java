package dev.fathom.text;

/**
 * The character classes that DeepSeek's pre-tokenizer patterns tell apart, and the class of every
 * code point.
 *
 * <p>Classes follow the general category ({@code \p{L}}, {@code \p{M}}, {@code \p{N}}, {@code
 * \p{P}}, {@code \p{S}}) and the property White_Space ({@code \s}) of this JDK's Unicode version.
 * On JDK 25 (Unicode 16) they agree for every code point with the regex engine inside HuggingFace
 * {@code tokenizers} 0.21, which {@code CharClassTest} asserts; a JDK with a later Unicode version
 * would differ in newly assigned code points only, and that test would list them.
 */
final class CharClass {
  /** Neither of the others: controls, format characters, unassigned and private code points. */
  static final byte OTHER = 0;

  /** {@code \p{L}}. */
  static final byte LETTER = 1;

  /** {@code \p{M}}. */
  static final byte MARK = 2;

  /** {@code \p{N}}. */
  static final byte NUMBER = 3;

  /** {@code \p{P}} and {@code \p{S}}, which no pattern separates. */
  static final byte PUNCTUATION = 4;

  /** {@code \s} except carriage return and line feed. */
  static final byte SPACE = 5;

  /** Carriage return and line feed. */
  static final byte NEWLINE = 6;

  /**
   * Added to the class of a code point of U+4E00 to U+9FA5 and U+3040 to U+30FF (Han and Kana),
   * which a pattern of its own sets apart: letters, marks, some punctuation, unassigned ones.
   */
  static final byte HAN_KANA = 8;

  /** A UTF-16 surrogate: half of a code point whose class {@link #ofCodePoint} knows. */
  static final byte SURROGATE = 16;

  private static final byte[] OF_UNIT = new byte[1 << 16];

  static {
    for (int c = 0; c < OF_UNIT.length; c++) {
      OF_UNIT[c] = Character.isSurrogate((char) c) ? SURROGATE : ofCodePoint(c);
    }
  }

  private CharClass() {}

  /** Returns the class of a UTF-16 unit, {@link #SURROGATE} for half a code point. */
  static byte ofUnit(char c) {
    return OF_UNIT[c];
  }

  /** Returns the class of a code point; a surrogate counts as U+FFFD, a symbol. */
  static byte ofCodePoint(int c) {
    if ((c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF)) {
      return (byte) (HAN_KANA + ofCategory(Character.getType(c)));
    }
    if (c == '\n' || c == '\r') {
      return NEWLINE;
    }
    return isWhiteSpace(c) ? SPACE : ofCategory(Character.getType(c));
  }

  private static byte ofCategory(int category) {
    return switch (category) {
      case Character.UPPERCASE_LETTER,
          Character.LOWERCASE_LETTER,
          Character.TITLECASE_LETTER,
          Character.MODIFIER_LETTER,
          Character.OTHER_LETTER ->
          LETTER;
      case Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK ->
          MARK;
      case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER ->
          NUMBER;
      case Character.DASH_PUNCTUATION,
          Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.CONNECTOR_PUNCTUATION,
          Character.OTHER_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION,
          Character.MATH_SYMBOL,
          Character.CURRENCY_SYMBOL,
          Character.MODIFIER_SYMBOL,
          Character.OTHER_SYMBOL,
          Character.SURROGATE ->
          PUNCTUATION;
      default -> OTHER;
    };
  }

  /** The property White_Space; none of its 25 code points lies above U+3000. */
  private static boolean isWhiteSpace(int c) {
    return (c >= 0x09 && c <= 0x0D)
        || c == 0x20
        || c == 0x85
        || c == 0xA0
        || c == 0x1680
        || (c >= 0x2000 && c <= 0x200A)
        || c == 0x2028
        || c == 0x2029
        || c == 0x202F
        || c == 0x205F
        || c == 0x3000;
  }
}
