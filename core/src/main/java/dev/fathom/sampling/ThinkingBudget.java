package dev.fathom.sampling;

/**
 * Closes reasoning after a number of tokens: forces the end mark, token by token, and leaves the
 * rest of the output alone. Reasoning that ends before is not touched.
 */
public final class ThinkingBudget implements LogitsProcessor {

  private final int maxTokens;
  private final boolean startsReasoning;
  private final int[] begin;
  private final int[] end;

  /**
   * Creates the budget.
   *
   * @param maxTokens most tokens of a reasoning before its end mark is begun, at least 0
   * @param startsReasoning whether the output begins inside reasoning
   * @param begin tokens of the mark that opens reasoning, at least one
   * @param end tokens of the mark that closes it, at least one
   */
  public ThinkingBudget(int maxTokens, boolean startsReasoning, int[] begin, int[] end) {
    if (maxTokens < 0 || begin.length == 0 || end.length == 0) {
      throw new IllegalArgumentException(
          "must be >= 0 with marks of >= 1 tokens: maxTokens="
              + maxTokens
              + " begin="
              + begin.length
              + " end="
              + end.length);
    }
    this.maxTokens = maxTokens;
    this.startsReasoning = startsReasoning;
    this.begin = begin.clone();
    this.end = end.clone();
  }

  @Override
  public void process(TokenHistory history, LogitsRow logits) {
    boolean inside = startsReasoning;
    int first = history.promptLength();
    for (int at = first + 1; at <= history.length(); at++) {
      if (endsWith(history, first, at, inside ? end : begin)) {
        inside = !inside;
        first = at;
      }
    }
    if (!inside) {
      return;
    }
    int spent = history.length() - first;
    int begun = begun(history, first);
    if (spent - begun >= maxTokens) {
      logits.force(end[begun]);
    }
  }

  /** Returns how many tokens of the end mark stand at the end of the reasoning. */
  private int begun(TokenHistory history, int first) {
    for (int len = end.length - 1; len > 0; len--) {
      if (matches(history, first, history.length(), end, len)) {
        return len;
      }
    }
    return 0;
  }

  private static boolean endsWith(TokenHistory history, int first, int at, int[] mark) {
    return matches(history, first, at, mark, mark.length);
  }

  private static boolean matches(TokenHistory history, int first, int at, int[] mark, int len) {
    if (at - len < first) {
      return false;
    }
    for (int i = 0; i < len; i++) {
      if (history.token(at - len + i) != mark[i]) {
        return false;
      }
    }
    return true;
  }
}
