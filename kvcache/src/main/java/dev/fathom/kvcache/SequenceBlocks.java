package dev.fathom.kvcache;

/**
 * The blocks of one sequence in all groups, and how far they are in the prefix index.
 *
 * <p>Made and changed by {@link KvCache} alone. Threads: one, the scheduler's.
 */
public final class SequenceBlocks {
  final BlockTable[] tables;
  final PrefixScope scope;

  /** Node of the last published or matched unit, pinned; or {@link PrefixIndex#NO_NODE}. */
  int node = PrefixIndex.NO_NODE;

  /** Units that are published or matched. */
  int numUnits;

  SequenceBlocks(BlockTable[] tables, PrefixScope scope) {
    this.tables = tables;
    this.scope = scope;
  }

  /** With whom it may share. */
  public PrefixScope scope() {
    return scope;
  }

  /** Groups of the model. */
  public int numGroups() {
    return tables.length;
  }

  /** The table of a group, to be read. */
  public BlockTable table(int group) {
    return tables[group];
  }

  /** Blocks held in all groups together. */
  public int numBlocks() {
    int blocks = 0;
    for (BlockTable table : tables) {
      blocks += table.numBlocks() - table.numReleased();
    }
    return blocks;
  }
}
