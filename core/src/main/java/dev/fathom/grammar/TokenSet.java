package dev.fathom.grammar;

/**
 * The tokens that may follow a configuration whose bottom is unknown.
 *
 * <p>Most tokens are decided here for all contexts. A token during which the bottom rule ends is
 * not: the nodes behind the places in the tree where that happens are listed, by the byte that
 * leads to them, to be continued with the callers. (The split is that of the xgrammar project.)
 * Immutable.
 *
 * @param numTokens how many are allowed whatever the context
 * @param ids these tokens, where they are few; else empty
 * @param mask these tokens, where they are many; else empty
 * @param tree the tree that {@code behind} refers to
 * @param behind nodes in front of which the bottom rule may have ended, ascending by label
 * @param first where in {@code behind} the nodes of each byte start, 257 numbers; empty if there
 *     are none
 * @param depth rules that are open above the bottom at most
 */
record TokenSet(
    int numTokens, int[] ids, long[] mask, TokenTrie tree, int[] behind, int[] first, int depth) {

  /** Returns whether all is decided, whatever the context. */
  boolean isClosed() {
    return behind.length == 0;
  }

  /** Adds the tokens to a mask. */
  void addTo(long[] target) {
    for (int id : ids) {
      target[id >> 6] |= 1L << id;
    }
    for (int w = 0; w < mask.length; w++) {
      target[w] |= mask[w];
    }
  }
}
