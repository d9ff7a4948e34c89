package dev.fathom.sampling;

/**
 * Recognizes an output that ends with the same run of tokens again and again.
 *
 * @param minPattern shortest run looked for, at least 1
 * @param maxPattern longest run looked for
 * @param minCount how often it must stand at the end, one behind the other, at least 2
 */
public record RepetitionGuard(int minPattern, int maxPattern, int minCount) {

  /** Checks the ranges. */
  public RepetitionGuard {
    if (minPattern < 1 || maxPattern < minPattern || minCount < 2) {
      throw new IllegalArgumentException(
          "must be 1 <= minPattern <= maxPattern and minCount >= 2: minPattern="
              + minPattern
              + " maxPattern="
              + maxPattern
              + " minCount="
              + minCount);
    }
  }

  /** Returns whether the output, without the prompt, repeats itself now. */
  public boolean repeats(TokenHistory history) {
    int output = history.length() - history.promptLength();
    int longest = Math.min(maxPattern, output / minCount);
    for (int len = minPattern; len <= longest; len++) {
      if (repeats(history, len)) {
        return true;
      }
    }
    return false;
  }

  private boolean repeats(TokenHistory history, int len) {
    int end = history.length();
    for (int i = end - len * (minCount - 1); i < end; i++) {
      if (history.token(i) != history.token(i - len)) {
        return false;
      }
    }
    return true;
  }
}
