package dev.fathom.engine;

/**
 * Guesses by looking up where the last tokens stood before: what followed them there may follow
 * here (prompt lookup decoding). The longest match wins, of equal ones the latest.
 */
final class NgramDrafts {

  private NgramDrafts() {}

  /**
   * Adds guesses to those of a sequence.
   *
   * @param limit most guesses
   */
  static void propose(Sequence s, Drafts drafts, int limit) {
    int end = s.numTokens();
    int maxMatch = Math.min(drafts.options.maxMatch(), end - 1);
    int best = drafts.options.minMatch() - 1;
    int from = -1;
    for (int i = end - 2; i >= 0 && best < maxMatch; i--) {
      int len = matchLength(s, i, end - 1, maxMatch);
      if (len > best) {
        best = len;
        from = i + 1;
      }
    }
    for (int i = 0; from >= 0 && i < limit && from + i < end; i++) {
      int token = s.token(from + i);
      if (s.request.isEnd(token)) {
        return;
      }
      drafts.add(token);
    }
  }

  /** Returns how many tokens that end at two positions are equal, at most limit. */
  private static int matchLength(Sequence s, int i, int last, int limit) {
    int len = 0;
    while (len < limit && len <= i && s.token(i - len) == s.token(last - len)) {
      len++;
    }
    return len;
  }
}
