package dev.fathom.grammar;

import java.nio.charset.StandardCharsets;

/**
 * Looks for a mark in text that comes in tokens and is free otherwise: behind the mark a grammar
 * begins, in the middle of a token where the mark ends there. Immutable; the caller keeps how much
 * of the mark has been seen.
 */
public final class TextTrigger {

  private final byte[] mark;
  private final int[] border;
  private final TokenBytes vocabulary;

  /** Creates a trigger for a text that is not empty. */
  public TextTrigger(String mark, TokenBytes vocabulary) {
    this.mark = mark.getBytes(StandardCharsets.UTF_8);
    this.border = new int[this.mark.length];
    this.vocabulary = vocabulary;
    for (int i = 1; i < border.length; i++) {
      border[i] = step(border[i - 1], this.mark[i]);
    }
  }

  private int step(int seen, byte next) {
    int at = seen;
    while (at > 0 && mark[at] != next) {
      at = border[at - 1];
    }
    return mark[at] == next ? at + 1 : 0;
  }

  /**
   * Reads a token.
   *
   * @param seen bytes of the mark that the text so far ends with
   * @return the same after the token; or, where the mark was completed, {@code -1 - n} with the
   *     number n of bytes of the token up to there
   */
  public int read(int seen, byte[] token) {
    int at = seen;
    for (int i = 0; i < token.length; i++) {
      at = step(at, token[i]);
      if (at == mark.length) {
        return -2 - i;
      }
    }
    return at;
  }

  /**
   * Forbids ordinary tokens that would complete the mark and go on in a way that the grammar does
   * not begin.
   *
   * @param seen bytes of the mark that the text so far ends with
   */
  public void forbidWrongStarts(int seen, CompiledGrammar grammar, long[] allowed) {
    for (int prefix = seen; prefix > 0; prefix = border[prefix - 1]) {
      TokenTrie tree = vocabulary.all();
      int end = tree.find(mark, prefix);
      if (end == TokenTrie.NONE) {
        continue;
      }
      for (int node = end + 1; node < tree.end[end]; node++) {
        int id = tree.token[node];
        if (id != TokenTrie.NONE) {
          byte[] bytes = vocabulary.bytes(id);
          if (!grammar.newMatcher().acceptBytes(bytes, mark.length - prefix)) {
            tree.forbid(node, allowed);
          }
        }
      }
    }
  }
}
