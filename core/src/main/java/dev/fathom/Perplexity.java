package dev.fathom;

/**
 * How well a model predicts a text.
 *
 * @param numTokens tokens that were predicted: all but the first of each text
 * @param negativeLogLikelihood sum over them, in nats
 */
public record Perplexity(long numTokens, double negativeLogLikelihood) {

  /** Nothing measured. */
  public static final Perplexity NONE = new Perplexity(0, 0);

  /** Returns exp of the mean, NaN where nothing was measured. */
  public double value() {
    return Math.exp(negativeLogLikelihood / (double) numTokens);
  }

  /** Returns both together, for a mean over several texts weighted by tokens. */
  public Perplexity plus(Perplexity other) {
    return new Perplexity(
        numTokens + other.numTokens, negativeLogLikelihood + other.negativeLogLikelihood);
  }
}
