package dev.fathom.sampling;

/**
 * Forbids tokens that would complete a run of n tokens which the output already has. The prompt is
 * not looked at: quoting it is no repetition.
 *
 * @param n length of a run, at least 2
 */
public record NoRepeatNgram(int n) implements LogitsProcessor {

  /** Checks the length. */
  public NoRepeatNgram {
    if (n < 2) {
      throw new IllegalArgumentException("must be >= 2: n=" + n);
    }
  }

  @Override
  public void process(TokenHistory history, LogitsRow logits) {
    int end = history.length();
    int context = end - (n - 1);
    for (int start = history.promptLength(); start < context; start++) {
      if (matches(history, start, context)) {
        int next = history.token(start + n - 1);
        logits.forbid(next);
      }
    }
  }

  /** Compares the n - 1 tokens at two places. */
  private boolean matches(TokenHistory history, int start, int context) {
    for (int i = n - 2; i >= 0; i--) {
      if (history.token(start + i) != history.token(context + i)) {
        return false;
      }
    }
    return true;
  }
}
