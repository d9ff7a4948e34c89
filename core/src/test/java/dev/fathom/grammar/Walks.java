package dev.fathom.grammar;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Random;

/** Answers made at random, each token of those that the mask allows. */
final class Walks {

  private Walks() {}

  /**
   * Makes an answer.
   *
   * @param wanted tokens after which the answer ends as soon as it may
   * @return the answer, cut where it does not end within ten times as many tokens
   */
  static String text(CompiledGrammar grammar, Random random, int wanted) {
    return new String(bytes(grammar, random, wanted).toByteArray(), StandardCharsets.UTF_8);
  }

  /** As {@link #text}; null where the answer does not end. */
  static ByteArrayOutputStream bytes(CompiledGrammar grammar, Random random, int wanted) {
    GrammarMatcher matcher = grammar.newMatcher();
    TokenBytes vocabulary = grammar.graph().vocabulary();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int n = 0; n < wanted * 10 && !matcher.mustEnd(); n++) {
      if (matcher.mayEnd() && (n >= wanted || random.nextInt(8) == 0)) {
        break;
      }
      int id = pick(matcher, vocabulary, random, n >= wanted);
      if (!matcher.accept(id)) {
        throw new IllegalStateException("must be taken: token=" + id);
      }
      out.writeBytes(vocabulary.bytes(id));
    }
    return out;
  }

  /** A random token; one that closes something where the answer should end. */
  private static int pick(
      GrammarMatcher matcher, TokenBytes vocabulary, Random random, boolean closing) {
    long[] mask = matcher.mask();
    int count = 0;
    int closer = -1;
    for (int w = 0; w < mask.length; w++) {
      count += Long.bitCount(mask[w]);
      for (long word = closing ? mask[w] : 0; word != 0; word &= word - 1) {
        int id = (w << 6) + Long.numberOfTrailingZeros(word);
        byte[] bytes = vocabulary.bytes(id);
        if (bytes.length == 1 && (bytes[0] == '"' || bytes[0] == '}' || bytes[0] == ']')) {
          closer = id;
        }
      }
    }
    if (count == 0) {
      throw new IllegalStateException("must allow a token or the end: " + matcher);
    }
    if (closer >= 0 && random.nextInt(8) != 0) {
      return closer;
    }
    int wanted = random.nextInt(count);
    for (int w = 0; ; w++) {
      int here = Long.bitCount(mask[w]);
      if (wanted < here) {
        long word = mask[w];
        for (; wanted > 0; wanted--) {
          word &= word - 1;
        }
        return (w << 6) + Long.numberOfTrailingZeros(word);
      }
      wanted -= here;
    }
  }
}
