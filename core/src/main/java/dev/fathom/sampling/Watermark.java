package dev.fathom.sampling;

import java.util.HashSet;
import java.util.Set;

/**
 * Marks text as generated: the token before each row divides the vocabulary, by a secret key, into
 * green and other tokens, and green ones get a higher logit. Who has the key finds more green
 * tokens than chance gives ({@link #detect}); who has not sees nothing.
 *
 * <p>Source: Kirchenbauer et al., A Watermark for Large Language Models (2023), soft red list with
 * one token of context. Membership is drawn for each token by itself, so the green part is gamma on
 * average. Text of low entropy (greedy answers, quotations) takes the mark badly: that is how the
 * method is.
 *
 * @param key the secret
 * @param gamma part of the vocabulary that is green, in (0, 1)
 * @param delta what is added to green logits, above 0
 */
public record Watermark(long key, double gamma, float delta) implements LogitsProcessor {

  /** Checks the ranges. */
  public Watermark {
    if (!(gamma > 0 && gamma < 1) || !(delta > 0 && delta <= 100)) {
      throw new IllegalArgumentException(
          "must be 0 < gamma < 1 and 0 < delta <= 100: gamma=" + gamma + " delta=" + delta);
    }
  }

  /** A quarter of the vocabulary is green, by 2 more: the values of the paper. */
  public static Watermark of(long key) {
    return new Watermark(key, 0.25, 2);
  }

  @Override
  public void process(TokenHistory history, LogitsRow logits) {
    long list = listAfter(history.token(history.length() - 1));
    for (int token = 0; token < logits.size(); token++) {
      if (isGreen(list, token)) {
        logits.add(token, delta);
      }
    }
  }

  private long listAfter(int previous) {
    return CounterRandom.bits(key, previous);
  }

  private boolean isGreen(long list, int token) {
    return CounterRandom.uniform(list, token) < gamma;
  }

  /**
   * Counts green tokens. Each pair of neighbours counts once, so that text which repeats itself is
   * not taken for marked.
   *
   * @param tokens of the text; the first serves as context only
   */
  public Detection detect(int[] tokens) {
    Set<Long> seen = new HashSet<>();
    int green = 0;
    for (int i = 1; i < tokens.length; i++) {
      if (seen.add((long) tokens[i - 1] << 32 | tokens[i])) {
        green += isGreen(listAfter(tokens[i - 1]), tokens[i]) ? 1 : 0;
      }
    }
    return new Detection(seen.size(), green, gamma);
  }

  /**
   * What was found in a text.
   *
   * @param scored tokens that were judged
   * @param green those of them that are green
   * @param gamma how many chance makes green
   */
  public record Detection(int scored, int green, double gamma) {

    /**
     * Returns by how many standard deviations there are more green tokens than by chance: above 4,
     * three unmarked texts in 100,000 are taken for marked.
     */
    public double zScore() {
      return scored == 0 ? 0 : (green - gamma * scored) / Math.sqrt(scored * gamma * (1 - gamma));
    }

    /** Returns how probable so many green tokens are in unmarked text, from the binomial law. */
    public double pValue() {
      double log = 0;
      double sum = 0;
      for (int k = 0; k <= scored; k++) {
        if (k > 0) {
          log += Math.log((double) (scored - k + 1) / k);
        }
        if (k >= green) {
          sum += Math.exp(log + k * Math.log(gamma) + (scored - k) * Math.log1p(-gamma));
        }
      }
      return Math.min(1, sum);
    }
  }
}
