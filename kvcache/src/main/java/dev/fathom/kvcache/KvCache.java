package dev.fathom.kvcache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The paged cache of a model: a pool for each group and an index of what others may reuse.
 *
 * <p>A sequence's life: {@link #match} finds how much of its prompt is cached, {@link #fits} says
 * whether the rest has room, {@link #attach} takes what was found, {@link #restore} what a second
 * tier has behind it, {@link #extend} makes room for the tokens of each step, {@link #publish}
 * makes full blocks findable after the step succeeded, {@link #release} gives all back. What was
 * published stays findable until its block is given out again; blocks released longest ago go
 * first, the end of a sequence before its beginning.
 *
 * <p>A group with a window keeps only the blocks that a later token needs: {@link #extend} releases
 * the others. They stay findable like all released blocks. A hit needs, in such a group, just the
 * blocks of the window that ends where it ends.
 *
 * <p>No operation allocates memory, but for longer block tables and longer matches. Pure: no clock,
 * no thread, no random number, no bytes. Threads: one, the scheduler's.
 */
public final class KvCache {
  private final GroupPool[] groups;
  private final BlockPool[] pools;
  private final PrefixIndex index;
  private final int unitTokens;
  private @Nullable TierRestore tier;
  private int[] path = new int[64];
  private int numMatched;
  private int numPins;

  /** Takes block copies that have to run before the next step writes. */
  @FunctionalInterface
  public interface Copies {
    /** Copies a block of a group, all layers. */
    void copy(int group, int source, int destination);
  }

  /**
   * An empty cache.
   *
   * @param groups the groups of the model, in their order
   * @param hashSeed key of the prefix hashes; results don't depend on it
   */
  public KvCache(List<GroupPool> groups, long hashSeed) {
    this(groups, hashSeed, Long.SIZE);
  }

  /**
   * An empty cache with weak hashes, for tests of collisions.
   *
   * @param hashBits bits kept of each half of the hash, 1 to 64
   */
  public KvCache(List<GroupPool> groups, long hashSeed, int hashBits) {
    Checks.atLeast(1, "groups.size", groups.size());
    Checks.atLeast(1, "hashBits", hashBits);
    Checks.atMost(Long.SIZE, "hashBits", hashBits);
    this.groups = groups.toArray(GroupPool[]::new);
    this.pools = new BlockPool[this.groups.length];
    this.index = new PrefixIndex(this.groups, hashSeed, hashBits);
    this.unitTokens = index.unitTokens();
    for (int g = 0; g < pools.length; g++) {
      int group = g;
      pools[g] = new BlockPool(this.groups[g].numBlocks());
      pools[g].onReuse(block -> reused(group, block));
    }
  }

  private void reused(int group, int block) {
    int node = index.nodeOf(group, block);
    if (node != PrefixIndex.NO_NODE) {
      if (tier != null) {
        tier.lost(group, block, node);
      }
      index.forget(group, block);
    }
  }

  /**
   * Sets where findable blocks go when they are given out again; once, while the cache is empty.
   *
   * @throws IllegalStateException if something was published before
   */
  public void spillTo(BlockTier second) {
    if (index.numNodes() > 0) {
      throw new IllegalStateException("must be empty: nodes=" + index.numNodes());
    }
    tier = new TierRestore(groups, pools, index, second);
  }

  PrefixIndex index() {
    return index;
  }

  BlockPool pool(int group) {
    return pools[group];
  }

  /** Groups of the model. */
  public int numGroups() {
    return groups.length;
  }

  /** What is known of a group. */
  public GroupPool group(int group) {
    return groups[group];
  }

  /** Tokens of a unit of prefix sharing: what is cached is found in multiples of it. */
  public int unitTokens() {
    return unitTokens;
  }

  /** Blocks of a group that no sequence holds; findable ones are among them. */
  public int numFree(int group) {
    return pools[group].numFree();
  }

  /** Blocks of a group that sequences hold. */
  public int numUsed(int group) {
    return pools[group].numBlocks() - pools[group].numFree();
  }

  /** A sequence without blocks. */
  public SequenceBlocks newSequence(PrefixScope scope) {
    BlockTable[] tables = new BlockTable[groups.length];
    Arrays.setAll(tables, g -> new BlockTable(groups[g].blockTokens()));
    return new SequenceBlocks(tables, scope);
  }

  /**
   * Finds how many tokens from the beginning are cached in every group, a whole number of units and
   * at most {@code numTokens - 1}, as one token must be computed to sample the next. Valid until
   * the next call of any other method but {@link #fits} and {@link #attach}.
   *
   * @param tokens the sequence, at least {@code numTokens}
   */
  public int match(SequenceBlocks blocks, int[] tokens, int numTokens) {
    int limit = (numTokens - 1) / unitTokens;
    int node = PrefixIndex.NO_NODE;
    int found = 0;
    while (found < limit) {
      node = index.find(node, blocks.scope, tokens, found * unitTokens);
      if (node == PrefixIndex.NO_NODE || !isWhole(node)) {
        break;
      }
      if (found == path.length) {
        path = Arrays.copyOf(path, 2 * found);
      }
      path[found++] = node;
    }
    while (found > 0 && !hasWindows(found)) {
      found--;
    }
    numMatched = found;
    return found * unitTokens;
  }

  /** Whether a node has all blocks of the groups that keep everything. */
  private boolean isWhole(int node) {
    for (int g = 0; g < groups.length; g++) {
      if (!groups[g].isWindowed()) {
        for (int i = 0; i < index.blocksPerUnit(g); i++) {
          if (index.block(node, g, i) == BlockPool.NO_BLOCK) {
            return false;
          }
        }
      }
    }
    return true;
  }

  /** Whether the windows that end after some units are there. */
  private boolean hasWindows(int units) {
    for (int g = 0; g < groups.length; g++) {
      if (groups[g].isWindowed()) {
        int end = units * index.blocksPerUnit(g);
        for (int i = firstBlock(g, units); i < end; i++) {
          if (cached(g, i) == BlockPool.NO_BLOCK) {
            return false;
          }
        }
      }
    }
    return true;
  }

  private int firstBlock(int g, int units) {
    int end = units * index.blocksPerUnit(g);
    return Math.min(end, groups[g].firstNeeded(units * unitTokens) / groups[g].blockTokens());
  }

  private int cached(int g, int i) {
    int perUnit = index.blocksPerUnit(g);
    return index.block(path[i / perUnit], g, i % perUnit);
  }

  /**
   * Whether what the last {@link #match} found and room for a whole prompt are to be had.
   *
   * @param numTokens tokens that shall fit
   * @param stepTokens most tokens of the sequence in a step
   * @param spared blocks of each group that must stay free
   */
  public boolean fits(int numTokens, int stepTokens, int[] spared) {
    for (int g = 0; g < groups.length; g++) {
      int first = firstBlock(g, numMatched);
      int end = numMatched * index.blocksPerUnit(g);
      int taken = 0;
      for (int i = first; i < end; i++) {
        taken += pools[g].refCount(cached(g, i)) == 0 ? 1 : 0;
      }
      int rest = groups[g].blocks(numTokens) - end;
      int most = groups[g].mostBlocks(numTokens, stepTokens) - (end - first);
      int fresh = Math.min(rest, Math.max(0, most));
      if ((long) pools[g].numFree() - taken - fresh < spared[g]) {
        return false;
      }
    }
    return true;
  }

  /**
   * Gives a sequence without blocks what the last {@link #match} of it found.
   *
   * @return cached tokens
   */
  public int attach(SequenceBlocks blocks) {
    for (int g = 0; g < groups.length; g++) {
      int first = firstBlock(g, numMatched);
      int end = numMatched * index.blocksPerUnit(g);
      for (int i = 0; i < end; i++) {
        int block = i < first ? BlockPool.NO_BLOCK : cached(g, i);
        if (block != BlockPool.NO_BLOCK) {
          take(g, block);
        }
        blocks.tables[g].append(block);
      }
    }
    if (numMatched > 0) {
      moveTo(blocks, path[numMatched - 1]);
    }
    blocks.numUnits = numMatched;
    return numMatched * unitTokens;
  }

  /**
   * Brings back from the second tier what follows the units that {@link #attach} gave, as far as
   * blocks are free for it. At least one of {@code numTokens} is left to be computed.
   *
   * @param tokens the sequence, at least {@code numTokens}
   * @return cached tokens, those of {@link #attach} included
   */
  public int restore(SequenceBlocks blocks, int[] tokens, int numTokens) {
    int limit = (numTokens - 1) / unitTokens;
    if (tier != null && blocks.numUnits < limit) {
      int units = tier.restore(blocks, tokens, limit);
      publish(blocks, tokens, units * unitTokens);
      return units * unitTokens;
    }
    return blocks.numUnits * unitTokens;
  }

  private void take(int g, int block) {
    if (pools[g].refCount(block) == 0) {
      pools[g].reclaim(block);
    } else {
      pools[g].retain(block);
    }
  }

  private void moveTo(SequenceBlocks blocks, int node) {
    index.pin(node);
    numPins += node == PrefixIndex.NO_NODE ? 0 : 1;
    numPins -= blocks.node == PrefixIndex.NO_NODE ? 0 : 1;
    index.unpin(blocks.node);
    blocks.node = node;
  }

  /**
   * Makes room for positions [computed, numTokens), all groups or none: releases blocks that no
   * later token needs, replaces a shared or findable block that would be written, and takes new
   * ones.
   *
   * @param copies hears of replaced blocks; their contents must be copied before they are written
   * @return false if a group has too few free blocks; only unneeded blocks were released then
   */
  public boolean extend(SequenceBlocks blocks, int computed, int numTokens, Copies copies) {
    for (int g = 0; g < groups.length; g++) {
      BlockTable table = blocks.tables[g];
      if (groups[g].isWindowed()) {
        table.releaseBefore(groups[g].firstNeeded(computed), pools[g]);
      }
      int wanted = groups[g].blocks(numTokens) - table.numBlocks();
      if (Math.max(0, wanted) + (writesShared(table, g, computed) ? 1 : 0) > pools[g].numFree()) {
        return false;
      }
    }
    for (int g = 0; g < groups.length; g++) {
      BlockTable table = blocks.tables[g];
      if (writesShared(table, g, computed)) {
        int fresh = pools[g].allocate();
        int shared = table.replace(computed / table.blockTokens(), fresh);
        pools[g].release(shared);
        copies.copy(g, shared, fresh);
      }
      table.ensureCapacity(numTokens, pools[g]);
    }
    return true;
  }

  private boolean writesShared(BlockTable table, int g, int computed) {
    int i = computed / table.blockTokens();
    if (i >= table.numBlocks() || i < table.numReleased()) {
      return false;
    }
    int block = table.blockAt(i);
    return pools[g].refCount(block) > 1 || index.nodeOf(g, block) != PrefixIndex.NO_NODE;
  }

  /** Whether a position's block is held by this sequence alone and is not findable. */
  public boolean isWritable(SequenceBlocks blocks, int group, int position) {
    return !writesShared(blocks.tables[group], group, position);
  }

  /** New blocks that {@link #extend} to a length may need in a group, at most. */
  public int outstanding(
      SequenceBlocks blocks, int g, int computed, int numTokens, int stepTokens) {
    BlockTable table = blocks.tables[g];
    int held = table.numBlocks() - table.numReleased();
    int most = groups[g].mostBlocks(numTokens, stepTokens);
    return Math.max(0, most - held) + (writesShared(table, g, computed) ? 1 : 0);
  }

  /**
   * Makes the full blocks of computed positions findable. Call it after the step that computed them
   * succeeded, and before {@link #extend} releases any of them.
   *
   * @param tokens the sequence
   * @param computed positions whose values are computed and stay
   */
  public void publish(SequenceBlocks blocks, int[] tokens, int computed) {
    while ((blocks.numUnits + 1L) * unitTokens <= computed) {
      int offset = blocks.numUnits * unitTokens;
      int node = index.find(blocks.node, blocks.scope, tokens, offset);
      boolean isNew = node == PrefixIndex.NO_NODE;
      if (isNew) {
        node = index.add(blocks.node, blocks.scope, tokens, offset);
        if (node == PrefixIndex.NO_NODE) {
          return;
        }
        if (tier != null) {
          index.setKey(node, tier.keyOf(blocks.node, blocks.scope, tokens, offset));
        }
      }
      for (int g = 0; g < groups.length; g++) {
        publish(blocks, node, g);
      }
      moveTo(blocks, node);
      if (isNew) {
        index.unpin(node);
      }
      blocks.numUnits++;
    }
  }

  private void publish(SequenceBlocks blocks, int node, int g) {
    int perUnit = index.blocksPerUnit(g);
    BlockTable table = blocks.tables[g];
    for (int i = 0; i < perUnit; i++) {
      int block = table.blockAt(blocks.numUnits * perUnit + i);
      if (block != BlockPool.NO_BLOCK) {
        index.publish(node, g, i, block);
      }
    }
  }

  /**
   * Whether another sequence can begin with the first {@code numTokens} positions of this one: it
   * computed them and still has those of each window.
   */
  public boolean canShare(SequenceBlocks from, int numTokens) {
    for (int g = 0; g < groups.length; g++) {
      BlockTable table = from.tables[g];
      int needed = groups[g].firstNeeded(numTokens) / table.blockTokens();
      if (table.numTokens() < numTokens || table.numReleased() > needed) {
        return false;
      }
    }
    return true;
  }

  /** Whether {@link #share} and then growing to a length leaves enough blocks free. */
  public boolean fitsShared(int shared, int numTokens, int stepTokens, int[] spared) {
    for (int g = 0; g < groups.length; g++) {
      int most = groups[g].mostBlocks(numTokens, stepTokens);
      int fresh = Math.min(most, groups[g].blocks(numTokens) - shared / groups[g].blockTokens());
      if (pools[g].numFree() - fresh - 1L < spared[g]) {
        return false;
      }
    }
    return true;
  }

  /**
   * Lets a sequence without blocks begin with the first positions of another, the partly filled
   * last block included: {@link #extend} copies it before one of both writes.
   */
  public void share(SequenceBlocks from, SequenceBlocks to, int numTokens) {
    for (int g = 0; g < groups.length; g++) {
      from.tables[g].share(to.tables[g], numTokens, pools[g]);
    }
    if (from.numUnits * unitTokens <= numTokens) {
      moveTo(to, from.node);
      to.numUnits = from.numUnits;
    }
  }

  /** Gives all blocks back, the end of the sequence first; a second call does nothing. */
  public void release(SequenceBlocks blocks) {
    for (int g = 0; g < groups.length; g++) {
      blocks.tables[g].releaseAll(pools[g]);
    }
    moveTo(blocks, PrefixIndex.NO_NODE);
    blocks.numUnits = 0;
  }

  /** Makes everything unfindable that no sequence holds. */
  public void forgetAll() {
    for (int g = 0; g < groups.length; g++) {
      for (int block = 0; block < pools[g].numBlocks(); block++) {
        if (pools[g].refCount(block) == 0) {
          index.forget(g, block);
        }
      }
    }
  }

  /**
   * Checks pools, tables and index against each other. O(blocks); for tests and idle times.
   *
   * @param sequences all that hold blocks
   * @throws IllegalStateException if a rule is broken
   */
  public void checkInvariants(Collection<SequenceBlocks> sequences) {
    for (int g = 0; g < groups.length; g++) {
      List<BlockTable> tables = new ArrayList<>();
      for (SequenceBlocks blocks : sequences) {
        tables.add(blocks.tables[g]);
      }
      pools[g].checkInvariants(tables);
    }
    index.checkInvariants(numPins);
  }
}
