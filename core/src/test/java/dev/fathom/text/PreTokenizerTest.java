package dev.fathom.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import dev.fathom.json.JsonWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Pieces and normal forms against HuggingFace's, on small files that carry a family's patterns and
 * one token for each byte: 50,000 random texts a family.
 */
class PreTokenizerTest {
  private static final String BETWEEN = "<｜▁pad▁｜>";
  private static final int BETWEEN_ID = 256;
  private static final int TEXTS_PER_CALL = 100;

  /** The families, each with its patterns and whether digits are split one by one. */
  enum Family {
    LLM(DeepSeekLlmPreTokenizer.LLM_PATTERNS, DeepSeekLlmPreTokenizer.llm(), true, "null"),
    CODER(DeepSeekLlmPreTokenizer.CODER_PATTERNS, DeepSeekLlmPreTokenizer.coder(), true, "null"),
    QWEN2(
        List.of(WordPreTokenizer.QWEN_PATTERN),
        new WordPreTokenizer(1),
        false,
        "{\"type\": \"NFC\"}"),
    LLAMA3(List.of(WordPreTokenizer.LLAMA_PATTERN), new WordPreTokenizer(3), false, "null");

    final List<String> patterns;
    final PreTokenizer scanner;
    final boolean digits;
    final String normalizer;

    Family(List<String> patterns, PreTokenizer scanner, boolean digits, String normalizer) {
      this.patterns = patterns;
      this.scanner = scanner;
      this.digits = digits;
      this.normalizer = normalizer;
    }

    byte[] json(String addedTokens) {
      StringBuilder out = new StringBuilder("{\"version\": \"1.0\", \"added_tokens\": [");
      out.append(addedTokens).append("], \"normalizer\": ").append(normalizer);
      out.append(", \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [");
      for (String pattern : patterns) {
        out.append("{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
        JsonWriter.quote(out, pattern);
        out.append("}, \"behavior\": \"Isolated\", \"invert\": false}, ");
      }
      out.append(digits ? "{\"type\": \"Digits\", \"individual_digits\": true}, " : "");
      out.append("{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true,");
      out.append(" \"use_regex\": false}]}, \"post_processor\": null, \"decoder\": {\"type\":");
      out.append(
          " \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\":");
      out.append(" true}, \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null,");
      out.append(
          " \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\":");
      out.append(" false, \"byte_fallback\": false, \"vocab\": {");
      String comma = "";
      for (char c = 0; c < 0x144; c++) {
        int b = ByteAlphabet.byteOf(c);
        if (b >= 0) {
          JsonWriter.quote(out.append(comma), String.valueOf(c));
          out.append(": ").append(b);
          comma = ", ";
        }
      }
      return out.append("}, \"merges\": []}}").toString().getBytes(StandardCharsets.UTF_8);
    }

    Tokenizer tokenizer() {
      return Tokenizer.parse(json(added(BETWEEN_ID, BETWEEN, true)));
    }
  }

  static String added(int id, String content, boolean special) {
    return "{\"id\": "
        + id
        + ", \"content\": \""
        + content
        + "\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": "
        + !special
        + ", \"special\": "
        + special
        + "}";
  }

  @ParameterizedTest
  @EnumSource
  void randomTextIsCutAsHuggingFaceCutsIt(Family family) {
    RandomText texts = new RandomText(20 + family.ordinal(), List.of(BETWEEN, "'ſ", "'LL", "'Ve"));
    Tokenizer tokenizer = family.tokenizer();
    int numPieces = 0;
    try (HuggingFace reference = HuggingFace.of(family.json(added(BETWEEN_ID, BETWEEN, true)))) {
      for (int done = 0; done < 50_000; done += TEXTS_PER_CALL) {
        List<String> batch = new ArrayList<>();
        while (batch.size() < TEXTS_PER_CALL) {
          String text = texts.next();
          if (!text.contains(BETWEEN) && (!family.digits || isAssigned(text))) {
            batch.add(text);
          }
        }
        String joined = String.join(BETWEEN, batch) + BETWEEN;
        numPieces +=
            compare(family, tokenizer, batch, reference.encode(joined), reference.pieces(joined));
      }
    }
    assertThat(numPieces).isGreaterThan(100_000);
  }

  /** The reference may know digits of a later Unicode version. */
  private static boolean isAssigned(String text) {
    return text.codePoints().allMatch(Character::isDefined);
  }

  /**
   * Whether a code point may compose or be ordered otherwise by the reference, whose normal form is
   * that of an old Unicode version: marks outside the oldest blocks, scripts of recent versions.
   */
  private static boolean isRare(int c) {
    boolean mark =
        switch (Character.getType(c)) {
          case Character.NON_SPACING_MARK,
              Character.ENCLOSING_MARK,
              Character.COMBINING_SPACING_MARK ->
              true;
          default -> false;
        };
    boolean old = c <= 0x36F || (c >= 0x591 && c <= 0x5C7) || (c >= 0x64B && c <= 0x65F);
    boolean common = c == 0x93C || c == 0x3099 || c == 0x309A || c == 0x20E3 || c == 0xFE0F;
    return (mark && !old && !common) || (c >= 0x11000 && c < 0x1D000);
  }

  private static int compare(
      Family family, Tokenizer tokenizer, List<String> batch, int[] ids, int[] pieces) {
    int from = 0;
    int numPieces = 0;
    for (String text : batch) {
      int to = from;
      while (ids[to] != BETWEEN_ID) {
        to++;
      }
      int[] expected = Arrays.copyOfRange(ids, from, to);
      int[] actual = tokenizer.encodeText(text);
      if (!Arrays.equals(expected, actual)
          && (family != Family.QWEN2 || text.codePoints().noneMatch(PreTokenizerTest::isRare))) {
        fail(codePoints(text) + "\n ours   " + hex(actual) + "\n theirs " + hex(expected));
      }
      List<Integer> lengths = lengths(pieces, from, to);
      List<Integer> ours = lengths(family.scanner, bytes(expected));
      if (!lengths.equals(ours)) {
        fail(codePoints(text) + "\n ours   " + ours + "\n theirs " + lengths);
      }
      numPieces += ours.size();
      from = to + 1;
    }
    return numPieces;
  }

  /** The number of bytes in each piece: tokens that count as one word. */
  private static List<Integer> lengths(int[] pieces, int from, int to) {
    List<Integer> lengths = new ArrayList<>();
    int start = from;
    for (int i = from + 1; i <= to; i++) {
      if (i == to || pieces[i] != pieces[i - 1]) {
        lengths.add(i - start);
        start = i;
      }
    }
    return lengths;
  }

  private static List<Integer> lengths(PreTokenizer scanner, String text) {
    char[] units = text.toCharArray();
    List<Integer> lengths = new ArrayList<>();
    int from = 0;
    while (from < units.length) {
      int to = scanner.pieceEnd(units, from, units.length);
      lengths.add(new String(units, from, to - from).getBytes(StandardCharsets.UTF_8).length);
      from = to;
    }
    return lengths;
  }

  private static String bytes(int[] ids) {
    byte[] bytes = new byte[ids.length];
    for (int i = 0; i < ids.length; i++) {
      bytes[i] = (byte) ids[i];
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static String hex(int[] ids) {
    return Arrays.toString(Arrays.stream(ids).mapToObj(Integer::toHexString).toArray());
  }

  private static String codePoints(String text) {
    return hex(text.codePoints().toArray());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "LLM|`has 8 naïve “x”  y ٣  `|`has| |8| na|ï|ve| |“|x|”| | y| |٣|  `",
        "CODER|`has 8 naïve “x”  y = ٣  `|`has| |8| naïve| |“|x|”| | y| = |٣|  `",
        "QWEN2|`it's 42  YOU'LL (x)`|`it|'s| |4|2| | YOU|'LL| (|x|)`",
        "LLAMA3|`it's 4242  YOU'LL (x)`|`it|'s| |424|2| | YOU|'LL| (|x|)`",
      })
  void piecesEndWhereThePatternsSay(Family family, String text, String expected) {
    List<String> pieces = new ArrayList<>();
    char[] units = text.toCharArray();
    for (int from = 0; from < units.length; ) {
      int to = family.scanner.pieceEnd(units, from, units.length);
      pieces.add(text.substring(from, to));
      from = to;
    }
    assertThat(String.join("|", pieces)).isEqualTo(expected);
  }

  @Test
  void unpairedSurrogatesArePiecesLikeTheReplacementCharacter() {
    for (Family family : Family.values()) {
      for (String text : List.of("a\uD800b", "\uDC00", " \uD83D \uD83D\uDE80", "1\uDBFF")) {
        String replaced = text.replace("\uD83D\uDE80", "X").replaceAll("[\uD800-\uDFFF]", "\uFFFD");
        assertThat(lengths(family.scanner, text).size())
            .as(family + " " + codePoints(text))
            .isEqualTo(lengths(family.scanner, replaced.replace("X", "\uD83D\uDE80")).size());
      }
    }
  }

  @Test
  void longRunsTakeLinearTime() {
    for (Family family : Family.values()) {
      for (String unit : List.of(" ", "5", "中", " \u2003", "5  ", "a", "\u3000!", "\n")) {
        assertThat(lengths(family.scanner, unit.repeat(300_000))).isNotEmpty();
      }
    }
  }

  @Test
  void addedLettersAreTextAndAddedTokensAreNot() {
    String tokens =
        added(BETWEEN_ID, BETWEEN, true)
            + ", "
            + added(257, "ü", false)
            + ", "
            + added(258, "<x>", false);
    String json = new String(Family.LLM.json(tokens), StandardCharsets.UTF_8);
    byte[] withoutByte = json.replace("\"ü\": 252, ", "").getBytes(StandardCharsets.UTF_8);
    Tokenizer tokenizer = Tokenizer.parse(withoutByte);
    assertThat(tokenizer.encodeText("Fü<x>")).containsExactly('F', 257, '<', 'x', '>');
    assertThat(tokenizer.encodeWithSpecials("Fü<x>")).containsExactly('F', 257, 258);
    assertThat(tokenizer.isAdded(257)).isFalse();
    assertThat(tokenizer.isAdded(258)).isTrue();
    assertThat(tokenizer.decode('F', 257)).isEqualTo("Fü");
  }

  @Test
  void normalFormCAppliesToTextAroundAddedTokens() {
    Tokenizer tokenizer = Family.QWEN2.tokenizer();
    assertThat(tokenizer.decode(tokenizer.encodeText("e\u0301"))).isEqualTo("é");
    assertThat(tokenizer.decode(tokenizer.encodeWithSpecials("e\u0301" + BETWEEN + "u\u0308")))
        .isEqualTo("é" + BETWEEN + "ü");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "LLM|\"individual_digits\": true|\"individual_digits\": false",
        "LLM|\"use_regex\": false|\"use_regex\": true",
        "QWEN2|\"add_prefix_space\": false|\"add_prefix_space\": true",
        "CODER|\"behavior\": \"Isolated\"|\"behavior\": \"Removed\"",
        "QWEN2|p{N}|p{Nd}",
      })
  void pretokenizersThatDifferFromThePublishedOnesAreRefused(
      Family family, String old, String replacement) {
    String json = new String(family.json(added(BETWEEN_ID, BETWEEN, true)), StandardCharsets.UTF_8);
    assertThat(json).contains(old);
    byte[] changed = json.replace(old, replacement).getBytes(StandardCharsets.UTF_8);
    assertThatThrownBy(() -> Tokenizer.parse(changed)).hasMessageStartingWith("FATHOM-3001");
  }
}
