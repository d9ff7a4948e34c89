package dev.fathom.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The built-in processors, each against the plain statement of what it promises. */
class LogitsProcessorsTest {

  private record History(int promptLength, int... tokens) implements TokenHistory {

    @Override
    public int length() {
      return tokens.length;
    }

    @Override
    public int token(int position) {
      return tokens[position];
    }
  }

  private static List<Integer> forbidden(LogitsProcessor processor, int vocab, TokenHistory h) {
    float[] logits = new float[vocab + 2];
    processor.process(h, LogitsRow.of(logits, 1, vocab));
    assertThat(logits[0]).isZero();
    assertThat(logits[vocab + 1]).isZero();
    List<Integer> ids = new ArrayList<>();
    for (int i = 0; i < vocab; i++) {
      if (logits[1 + i] == Float.NEGATIVE_INFINITY) {
        ids.add(i);
      }
    }
    return ids;
  }

  private static byte[][] vocabulary(String... tokens) {
    return Arrays.stream(tokens)
        .map(t -> t.getBytes(StandardCharsets.UTF_8))
        .toArray(byte[][]::new);
  }

  private static BadWords badWords(byte[][] vocabulary, String... words) {
    return new BadWords(
        Arrays.stream(words).map(w -> w.getBytes(StandardCharsets.UTF_8)).toList(), vocabulary);
  }

  @Test
  void badWordsAreForbiddenHoweverTheyAreCutIntoTokens() {
    byte[][] vocabulary = vocabulary("c", "ca", "t", "at", "cat", "concatenate", "at!", "a", "");
    BadWords cat = badWords(vocabulary, "cat");
    assertThat(forbidden(cat, 9, new History(1, 0))).containsExactly(4, 5);
    assertThat(forbidden(cat, 9, new History(1, 8, 0))).containsExactly(3, 4, 5, 6);
    assertThat(forbidden(cat, 9, new History(1, 8, 1))).containsExactly(2, 4, 5);
    assertThat(forbidden(cat, 9, new History(1, 8, 0, 7))).containsExactly(2, 4, 5);
    assertThat(forbidden(cat, 9, new History(1, 8, 0, 8, 7))).containsExactly(2, 4, 5);
    assertThat(forbidden(cat, 9, new History(2, 0, 7))).as("the prompt").containsExactly(4, 5);
  }

  @Test
  void noOutputOfRandomTokensEverContainsABadWord() {
    Random random = new Random(5);
    for (int round = 0; round < 200; round++) {
      byte[][] vocabulary = new byte[12][];
      for (int i = 0; i < vocabulary.length; i++) {
        vocabulary[i] = randomBytes(random, random.nextInt(4));
      }
      List<byte[]> words = new ArrayList<>();
      for (int i = 0; i < 1 + random.nextInt(3); i++) {
        words.add(randomBytes(random, 1 + random.nextInt(5)));
      }
      BadWords processor = new BadWords(words, vocabulary);
      int[] tokens = {random.nextInt(12)};
      StringBuilder text = new StringBuilder();
      for (int step = 0; step < 40; step++) {
        List<Integer> never = forbidden(processor, 12, new History(1, tokens));
        for (int id = 0; id < 12; id++) {
          String next = text + ascii(vocabulary[id]);
          boolean completes = words.stream().anyMatch(w -> next.contains(ascii(w)));
          assertThat(never.contains(id)).as("round %d %s", round, next).isEqualTo(completes);
        }
        int chosen = random.nextInt(12);
        if (!never.contains(chosen)) {
          tokens = Arrays.copyOf(tokens, tokens.length + 1);
          tokens[tokens.length - 1] = chosen;
          text.append(ascii(vocabulary[chosen]));
        }
      }
    }
  }

  private static byte[] randomBytes(Random random, int len) {
    byte[] bytes = new byte[len];
    for (int i = 0; i < len; i++) {
      bytes[i] = (byte) ('a' + random.nextInt(2));
    }
    return bytes;
  }

  private static String ascii(byte[] bytes) {
    return new String(bytes, StandardCharsets.US_ASCII);
  }

  @Test
  void badWordsMayEndInsideACharacter() {
    byte[] e = "é".getBytes(StandardCharsets.UTF_8);
    byte[][] vocabulary = {{e[0]}, {e[1]}, e};
    assertThat(forbidden(badWords(vocabulary, "é"), 3, new History(0, 0))).containsExactly(1, 2);
    assertThatThrownBy(() -> badWords(vocabulary, ""))
        .hasMessage("must be >= 1: bytes of a word=0");
  }

  @Test
  void noRunOfTokensComesTwiceInTheOutput() {
    assertThat(forbidden(new NoRepeatNgram(2), 9, new History(0, 1, 2, 3, 1))).containsExactly(2);
    assertThat(forbidden(new NoRepeatNgram(2), 9, new History(2, 1, 2, 3, 1))).isEmpty();
    assertThat(forbidden(new NoRepeatNgram(3), 9, new History(0, 1, 2, 3, 1))).isEmpty();
    assertThat(forbidden(new NoRepeatNgram(3), 9, new History(0, 1, 2, 3, 1, 2)))
        .containsExactly(3);
    assertThat(forbidden(new NoRepeatNgram(3), 9, new History(0, 4, 4, 4))).containsExactly(4);
    assertThat(forbidden(new NoRepeatNgram(4), 9, new History(0, 4))).isEmpty();
    assertThatThrownBy(() -> new NoRepeatNgram(1)).hasMessage("must be >= 2: n=1");
  }

  @Test
  void aRepetitionGuardSeesRunsAtTheEndOfTheOutputOnly() {
    RepetitionGuard guard = new RepetitionGuard(1, 3, 3);
    assertThat(guard.repeats(new History(0, 7, 7))).isFalse();
    assertThat(guard.repeats(new History(0, 7, 7, 7))).isTrue();
    assertThat(guard.repeats(new History(1, 7, 7, 7))).isFalse();
    assertThat(guard.repeats(new History(0, 1, 2, 1, 2, 1, 2))).isTrue();
    assertThat(guard.repeats(new History(0, 1, 2, 1, 2, 1, 2, 3))).isFalse();
    assertThat(guard.repeats(new History(0, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4))).isFalse();
    assertThat(new RepetitionGuard(2, 9, 2).repeats(new History(0, 5, 5))).isFalse();
    assertThatThrownBy(() -> new RepetitionGuard(0, 3, 3)).hasMessageContaining("minPattern=0");
    assertThatThrownBy(() -> new RepetitionGuard(4, 3, 3)).hasMessageContaining("maxPattern=3");
    assertThatThrownBy(() -> new RepetitionGuard(1, 3, 1)).hasMessageContaining("minCount=1");
  }

  @Test
  void reasoningIsClosedWhenItsBudgetIsSpent() {
    int[] open = {8};
    int[] close = {5, 6};
    LogitsProcessor inside = new ThinkingBudget(3, true, open, close);
    assertThat(forbidden(inside, 9, new History(1, 0, 1, 2))).isEmpty();
    assertThat(forced(inside, 0, 1, 2, 3)).isEqualTo(5);
    assertThat(forced(inside, 0, 1, 2, 3, 5)).isEqualTo(6);
    assertThat(forbidden(inside, 9, new History(1, 0, 1, 2, 3, 5, 6))).isEmpty();
    assertThat(forbidden(inside, 9, new History(1, 0, 1, 5, 6, 1, 2, 3, 4))).isEmpty();
    assertThat(forced(inside, 0, 1, 5, 6, 8, 1, 2, 3)).as("a second reasoning").isEqualTo(5);
    LogitsProcessor outside = new ThinkingBudget(3, false, open, close);
    assertThat(forbidden(outside, 9, new History(1, 0, 1, 2, 3, 4))).isEmpty();
    assertThat(forced(outside, 0, 8, 2, 3, 4)).isEqualTo(5);
    assertThat(forced(new ThinkingBudget(0, true, open, close), 0)).isEqualTo(5);
    assertThat(forbidden(inside, 9, new History(1, 0, 1, 5, 1)))
        .as("a begun mark that was left counts")
        .hasSize(8);
  }

  private static int forced(LogitsProcessor processor, int... tokens) {
    List<Integer> never = forbidden(processor, 9, new History(1, tokens));
    assertThat(never).hasSize(8);
    return 36 - never.stream().mapToInt(i -> i).sum();
  }

  @Test
  void forcingAForbiddenTokenAllowsIt() {
    float[] logits = {1, Float.NEGATIVE_INFINITY, 3};
    LogitsRow.of(logits, 0, 3).force(1);
    assertThat(logits).containsExactly(Float.NEGATIVE_INFINITY, 0, Float.NEGATIVE_INFINITY);
    assertThatThrownBy(() -> LogitsRow.of(logits, 0, 3).get(3))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("must be in [0, 2]: token=3");
  }

  @Test
  void allowedTokensAreAllThatIsLeft() {
    long[] words = {-1, -1, -1};
    new AllowedTokens(new int[] {0, 63, 64, 99}, 100).restrict(words);
    assertThat(words).containsExactly(1L | 1L << 63, 1L | 1L << 35, 0);
    assertThatThrownBy(() -> new AllowedTokens(new int[] {100}, 100))
        .hasMessage("must be in [0, 99]: allowed token=100");
  }

  /** Draws tokens from random logits, marked or not. */
  private static int[] text(long seed, int length, LogitsProcessor processor) {
    Random random = new Random(seed);
    int[] tokens = {random.nextInt(500)};
    for (int i = 0; i < length; i++) {
      float[] logits = new float[500];
      for (int id = 0; id < 500; id++) {
        logits[id] = (float) (2 * random.nextGaussian());
      }
      if (processor != null) {
        processor.process(new History(1, tokens), LogitsRow.of(logits, 0, 500));
      }
      tokens = Arrays.copyOf(tokens, tokens.length + 1);
      tokens[tokens.length - 1] = draw(random, logits);
    }
    return tokens;
  }

  private static int draw(Random random, float[] logits) {
    int best = 0;
    double bestValue = Double.NEGATIVE_INFINITY;
    for (int id = 0; id < logits.length; id++) {
      double value = logits[id] - Math.log(-Math.log(1 - random.nextDouble()));
      if (value > bestValue) {
        bestValue = value;
        best = id;
      }
    }
    return best;
  }

  @Test
  void markedTextsAreFoundAndUnmarkedOnesAreNot() {
    Watermark watermark = Watermark.of(42);
    int found = 0;
    int falselyFound = 0;
    int otherKey = 0;
    int[] unmarked = text(1_000, 20_000, null);
    for (int i = 0; i < 100; i++) {
      int[] plain = Arrays.copyOfRange(unmarked, 200 * i, 200 * (i + 1));
      int[] marked = text(i, 200, watermark);
      found += watermark.detect(marked).zScore() > 4 ? 1 : 0;
      falselyFound += watermark.detect(plain).pValue() < 0.05 ? 1 : 0;
      otherKey += Watermark.of(43).detect(marked).pValue() < 0.05 ? 1 : 0;
    }
    assertThat(found).as("true positives of 100 at z > 4").isGreaterThanOrEqualTo(99);
    assertThat(falselyFound).as("false positives of 100 at p < 0.05").isLessThanOrEqualTo(14);
    assertThat(otherKey).as("with a wrong key").isLessThanOrEqualTo(14);
  }

  @Test
  void theFalsePositiveRateIsTheOnePromised() {
    Watermark watermark = Watermark.of(7);
    Random random = new Random(3);
    int[] below = new int[3];
    for (int i = 0; i < 20_000; i++) {
      int[] text = random.ints(60, 0, 100_000).toArray();
      double p = watermark.detect(text).pValue();
      below[0] += p < 0.1 ? 1 : 0;
      below[1] += p < 0.01 ? 1 : 0;
      below[2] += p < 0.001 ? 1 : 0;
    }
    assertThat(below[0]).isBetween(1_000, 2_150);
    assertThat(below[1]).isBetween(60, 260);
    assertThat(below[2]).isLessThan(45);
  }

  @Test
  void textThatRepeatsItselfIsNotTakenForMarked() {
    Watermark watermark = Watermark.of(1);
    int[] same = new int[1_000];
    assertThat(watermark.detect(same).scored()).isEqualTo(1);
    assertThat(watermark.detect(new int[] {1}).zScore()).isZero();
    assertThat(watermark.detect(new int[0]).pValue()).isEqualTo(1);
    assertThatThrownBy(() -> new Watermark(1, 1, 2)).hasMessageContaining("gamma=1.0");
    assertThatThrownBy(() -> new Watermark(1, 0.5, 0)).hasMessageContaining("delta=0.0");
    assertThatThrownBy(() -> new Watermark(1, 0.5, Float.NaN)).hasMessageContaining("delta=NaN");
  }
}
