package dev.fathom.kvcache;

/**
 * What bookkeeping has to know of a group: how many tokens a block stands for, how long tokens are
 * wanted, and how many blocks there are.
 *
 * @param blockTokens positions that a block covers, at least 1; see {@link KvGroup#blockSpan}
 * @param windowTokens newest tokens that must be kept, or 0 where all are
 * @param numBlocks blocks of the pool, at least 1
 */
public record GroupPool(int blockTokens, int windowTokens, int numBlocks) {
  /**
   * Checks the sizes.
   *
   * @throws IllegalArgumentException if one is too small
   */
  public GroupPool {
    Checks.atLeast(1, "blockTokens", blockTokens);
    Checks.atLeast(0, "windowTokens", windowTokens);
    Checks.atLeast(1, "numBlocks", numBlocks);
  }

  /** Whether blocks that slid out of a window are released. */
  public boolean isWindowed() {
    return windowTokens > 0;
  }

  /** Blocks that cover positions [0, numTokens). */
  public int blocks(int numTokens) {
    return Math.ceilDiv(numTokens, blockTokens);
  }

  /**
   * First position that a token at {@code position} still needs, itself excluded: 0, or where its
   * window begins.
   */
  public int firstNeeded(int position) {
    return isWindowed() ? Math.max(0, position - windowTokens + 1) : 0;
  }

  /**
   * Most blocks that a sequence holds at once while it grows to {@code numTokens} in steps of
   * {@code stepTokens}.
   */
  public int mostBlocks(int numTokens, int stepTokens) {
    int all = blocks(numTokens);
    if (!isWindowed()) {
      return all;
    }
    long live = (long) windowTokens - 1 + Math.min(stepTokens, numTokens);
    return (int) Math.min(all, Math.ceilDiv(live, (long) blockTokens) + 1);
  }

  /** The same group with another number of blocks. */
  public GroupPool withBlocks(int blocks) {
    return new GroupPool(blockTokens, windowTokens, blocks);
  }
}
