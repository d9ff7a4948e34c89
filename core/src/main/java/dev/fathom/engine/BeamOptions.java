package dev.fathom.engine;

/**
 * How a beam search is done.
 *
 * @param width sequences that are followed at once, at least 1
 * @param lengthPenalty exponent of the length that a sum of log-probabilities is divided by
 * @param alternatives likely tokens that each token of an answer tells of
 */
public record BeamOptions(int width, double lengthPenalty, int alternatives) {

  /** Checks the ranges. */
  public BeamOptions {
    if (width < 1) {
      throw new IllegalArgumentException("must be >= 1: width=" + width);
    }
    if (!Double.isFinite(lengthPenalty)) {
      throw new IllegalArgumentException("must be finite: lengthPenalty=" + lengthPenalty);
    }
  }

  /** Returns the score of so many tokens with this sum of log-probabilities; more is better. */
  double score(double logprob, int numTokens) {
    return logprob / Math.pow(numTokens, lengthPenalty);
  }

  /** Returns the most that tokens with this sum so far can score when more follow. */
  double bound(double logprob, int numTokens, int maxTokens) {
    return score(logprob, lengthPenalty >= 0 ? maxTokens : numTokens + 1);
  }
}
