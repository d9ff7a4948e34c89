package dev.fathom.kvcache;

/**
 * A second place for blocks: it keeps those that are about to be given out again while they could
 * be found, and brings them back. The scheduler's thread alone calls; what the tier throws, a step
 * would fail with, so it should not: what it cannot keep or bring back is a miss.
 */
public interface BlockTier {
  /** Takes a copy of a block; its bytes are still there during the call. */
  void keep(BlockKey key, int block);

  /** Whether {@link #bringBack} is likely to succeed. */
  boolean has(BlockKey key);

  /**
   * Fills a block with what was kept under a key.
   *
   * @return false if it is not there any more, or damaged; the block's bytes are undefined then
   */
  boolean bringBack(BlockKey key, int block);
}
