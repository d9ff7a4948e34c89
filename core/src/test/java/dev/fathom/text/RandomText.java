package dev.fathom.text;

import java.util.List;
import java.util.Random;
import java.util.function.Consumer;

/** Draws short texts that are hard on a tokenizer. The same seed draws the same texts. */
final class RandomText {
  private static final String[] WORDS = {
    "the",
    "Hello",
    "don't",
    "I'll",
    "naïve",
    "über",
    "int",
    "return",
    "foo_bar",
    "JSON",
    "x1",
    "中文",
    "深度求索",
    "ひらがな",
    "カタカナ",
    "한국어",
    "русский",
    "العربية",
    "हिन्दी",
    "ไทย",
    "ελληνικά",
    "https://a.b/c?d=e",
    "3.14159e-10",
    "0x1F",
    "/**",
    "*/",
    "//",
    "());",
    "{}",
    "[]",
    "=>",
    "!=",
    "...",
    "--",
    "é",
    "e\u0301",
    "👩‍👩‍👧‍👦",
    "🇨🇳",
    "🏳️‍🌈",
    "½",
    "①",
    "Ⅷ",
    "१२३",
    "０１２３",
    "２０",
    "Σ",
    "ß",
    "ǆ",
    "ﬁ",
    "“q”",
    "—",
    "…",
    "、",
    "。",
    "《",
    "゛",
    "゠",
    "ー",
    "々",
    "〇",
  };
  private static final int[] SPACES = {
    ' ', ' ', ' ', '\n', '\r', '\t', 0x0B, 0x0C, 0x85, 0xA0, 0x1680, 0x2000, 0x2009, 0x200A, 0x200B,
    0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF, 0x180E, 0x1C, 0x1F,
  };

  /** Blocks with letters, marks, digits, punctuation and symbols of many scripts. */
  private static final int[][] RANGES = {
    {0x20, 0x7E},
    {0x00, 0x20},
    {0x7F, 0xFF},
    {0x100, 0x24F},
    {0x2B0, 0x36F},
    {0x370, 0x52F},
    {0x590, 0x6FF},
    {0x700, 0x97F},
    {0x980, 0xDFF},
    {0xE00, 0xFFF},
    {0x1000, 0x139F},
    {0x13A0, 0x1AFF},
    {0x1B00, 0x1FFF},
    {0x2000, 0x2BFF},
    {0x2C00, 0x2FFF},
    {0x3000, 0x31FF},
    {0x3040, 0x30FF},
    {0x3200, 0x4DFF},
    {0x4E00, 0x4E80},
    {0x9F80, 0x9FFF},
    {0xA000, 0xABFF},
    {0xAC00, 0xD7FF},
    {0xE000, 0xE010},
    {0xF900, 0xFFFF},
    {0x10000, 0x10FFF},
    {0x11000, 0x123FF},
    {0x16000, 0x18FFF},
    {0x1B000, 0x1BFFF},
    {0x1D000, 0x1EFFF},
    {0x1F000, 0x1FBFF},
    {0x20000, 0x2A6FF},
    {0x30000, 0x323AF},
    {0xE0000, 0xE01FF},
    {0x10FFF0, 0x10FFFF},
  };

  private final Random random;
  private final List<String> addedTokens;
  private final List<Consumer<StringBuilder>> parts =
      List.of(
          this::word,
          this::word,
          this::spaces,
          this::spaces,
          this::digits,
          this::scripts,
          this::scripts,
          this::punctuation,
          this::combining,
          this::anyCodePoint,
          this::han,
          this::runOfOne,
          this::addedToken);

  RandomText(long seed, List<String> addedTokens) {
    this.random = new Random(seed);
    this.addedTokens = addedTokens;
  }

  /** Draws a text of zero to six parts; never an unpaired surrogate. */
  String next() {
    StringBuilder out = new StringBuilder();
    for (int n = random.nextInt(7); n > 0; n--) {
      parts.get(random.nextInt(parts.size())).accept(out);
    }
    return out.toString();
  }

  private void word(StringBuilder out) {
    out.append(random.nextBoolean() ? " " : "").append(WORDS[random.nextInt(WORDS.length)]);
  }

  private void spaces(StringBuilder out) {
    for (int n = random.nextInt(4); n >= 0; n--) {
      out.appendCodePoint(SPACES[random.nextInt(SPACES.length)]);
    }
  }

  private void digits(StringBuilder out) {
    int[] zeros = {'0', '0', 0x660, 0x966, 0xE50, 0xFF10, 0x1D7CE, 0x104A0, 0x2460, 0x2160};
    int zero = zeros[random.nextInt(zeros.length)];
    for (int n = random.nextInt(8); n >= 0; n--) {
      out.appendCodePoint(zero + random.nextInt(10));
    }
  }

  private void scripts(StringBuilder out) {
    int[] range = RANGES[random.nextInt(RANGES.length)];
    for (int n = random.nextInt(6); n >= 0; n--) {
      codePoint(range[0] + random.nextInt(range[1] - range[0] + 1), out);
    }
  }

  private void punctuation(StringBuilder out) {
    String all = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\n\r ¡§¿×÷€←∑■【】，！？＄～";
    for (int n = random.nextInt(5); n >= 0; n--) {
      out.append(all.charAt(random.nextInt(all.length())));
    }
  }

  private void combining(StringBuilder out) {
    int[] marks = {
      0x300, 0x301, 0x308, 0x20E3, 0x64B, 0x93C, 0x3099, 0xFE0F, 0x200D, 0x1F3FD, 0x903
    };
    for (int n = random.nextInt(3); n >= 0; n--) {
      out.appendCodePoint(marks[random.nextInt(marks.length)]);
    }
  }

  private void anyCodePoint(StringBuilder out) {
    codePoint(random.nextInt(Character.MAX_CODE_POINT + 1), out);
  }

  private void han(StringBuilder out) {
    for (int n = random.nextInt(10); n >= 0; n--) {
      codePoint(0x4E00 + (int) Math.abs(random.nextGaussian() * 4000) % 0x51A6, out);
    }
  }

  private void runOfOne(StringBuilder out) {
    int c = " \n=-x.0中\u0000é".charAt(random.nextInt(10));
    for (int n = 1 + random.nextInt(random.nextInt(40) == 0 ? 200 : 8); n > 0; n--) {
      out.appendCodePoint(c);
    }
  }

  private void addedToken(StringBuilder out) {
    String token = addedTokens.get(random.nextInt(addedTokens.size()));
    boolean whole = random.nextInt(4) > 0;
    out.append(whole ? token : token.substring(0, random.nextInt(token.length())));
  }

  private static void codePoint(int c, StringBuilder out) {
    if (c < 0xD800 || c > 0xDFFF) {
      out.appendCodePoint(c);
    }
  }
}
