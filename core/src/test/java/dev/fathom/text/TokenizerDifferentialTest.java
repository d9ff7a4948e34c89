package dev.fathom.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Ours against HuggingFace's on random Unicode text: 220,000 texts in all.
 *
 * <p>A call of the reference costs more than a text, so that many texts travel in one call with an
 * added token in between, which both sides treat as the end of a text.
 */
class TokenizerDifferentialTest {
  private static final String BETWEEN = "<｜▁pad▁｜>";
  private static final int TEXTS_PER_CALL = 100;

  @Test
  void parsedTextEncodesAsHuggingFaceDoes() {
    Tokenizer tokenizer = Tokenizers.v3();
    try (HuggingFace reference = HuggingFace.of(Tokenizers.v3Json())) {
      compare(new RandomText(1, addedTokens(tokenizer)), 100_000, tokenizer, true, reference);
    }
  }

  @Test
  void plainTextEncodesAsHuggingFaceDoesWithoutAddedTokens() {
    Tokenizer tokenizer = Tokenizers.v3();
    try (HuggingFace reference = HuggingFace.withOneAddedToken(Tokenizers.v3Json(), BETWEEN)) {
      compare(new RandomText(2, addedTokens(tokenizer)), 100_000, tokenizer, false, reference);
    }
  }

  @Test
  void theSampleTokenizerEncodesAsHuggingFaceDoes() {
    Tokenizer tokenizer = Tokenizers.sample();
    try (HuggingFace reference = HuggingFace.of(Tokenizers.sampleJson())) {
      compare(new RandomText(3, addedTokens(tokenizer)), 20_000, tokenizer, true, reference);
    }
  }

  @Test
  void randomIdsDecodeAsHuggingFaceDoes() {
    Random random = new Random(4);
    try (HuggingFace reference = HuggingFace.of(Tokenizers.v3Json())) {
      for (int i = 0; i < 20_000; i++) {
        int[] ids = new int[1 + random.nextInt(10)];
        for (int k = 0; k < ids.length; k++) {
          ids[k] = random.nextBoolean() ? 3 + random.nextInt(256) : random.nextInt(128_815);
        }
        assertThat(Tokenizers.v3().decode(ids))
            .as(Arrays.toString(ids))
            .isEqualTo(reference.decode(ids));
      }
    }
  }

  private static List<String> addedTokens(Tokenizer tokenizer) {
    List<String> tokens = new ArrayList<>();
    for (String token : tokenizer.addedTokens().keySet()) {
      if (!token.contains("place") || token.endsWith("00｜>") || token.endsWith("1｜>")) {
        tokens.add(token);
      }
    }
    return tokens;
  }

  private static void compare(
      RandomText texts, int numTexts, Tokenizer tokenizer, boolean parsed, HuggingFace reference) {
    int separator = tokenizer.tokenId(BETWEEN);
    for (int done = 0; done < numTexts; done += TEXTS_PER_CALL) {
      StringBuilder joined = new StringBuilder();
      List<String> batch = new ArrayList<>();
      while (batch.size() < TEXTS_PER_CALL) {
        String text = texts.next();
        if (!text.contains(BETWEEN)) {
          batch.add(text);
          joined.append(text).append(BETWEEN);
        }
      }
      int[] expected = reference.encode(joined.toString());
      int from = 0;
      for (String text : batch) {
        int to = from;
        while (expected[to] != separator) {
          to++;
        }
        int[] ids = parsed ? tokenizer.encodeWithSpecials(text) : tokenizer.encodeText(text);
        compare(text, ids, Arrays.copyOfRange(expected, from, to));
        if (!tokenizer.decode(ids).equals(text)) {
          fail("must decode to itself: " + codePoints(text));
        }
        if (!parsed && Arrays.stream(ids).anyMatch(tokenizer::isAdded)) {
          fail("must not hold an added token: " + codePoints(text));
        }
        from = to + 1;
      }
    }
  }

  private static void compare(String text, int[] actual, int[] expected) {
    if (!Arrays.equals(actual, expected)) {
      fail(
          codePoints(text)
              + "\n ours   "
              + Arrays.toString(actual)
              + "\n theirs "
              + Arrays.toString(expected));
    }
  }

  private static String codePoints(String text) {
    return Arrays.toString(text.codePoints().mapToObj(Integer::toHexString).toArray());
  }
}
