package dev.fathom.kvcache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Brings blocks back from a {@link BlockTier} behind what a sequence has found in the pool.
 *
 * <p>A unit can be had if each of its blocks in groups that keep everything is still in the pool or
 * in the tier; the last one also needs the blocks of the windows that end with it. Blocks in the
 * pool are taken first, as getting free ones may give them out; then the others are filled. Where a
 * block fails after all, the units before it stay, or none in a model with windows. One thread.
 */
final class TierRestore {
  private final GroupPool[] groups;
  private final BlockPool[] pools;
  private final PrefixIndex index;
  private final BlockTier tier;
  private final UnitKey.Chain chain;
  private final boolean anyWindow;
  private final List<UnitKey> keys = new ArrayList<>();
  private final List<Integer> nodes = new ArrayList<>();
  private int[][] taken;
  private PrefixScope scope = PrefixScope.SHARED;
  private int first;

  TierRestore(GroupPool[] groups, BlockPool[] pools, PrefixIndex index, BlockTier tier) {
    this.groups = groups;
    this.pools = pools;
    this.index = index;
    this.tier = tier;
    this.chain = new UnitKey.Chain(index.unitTokens());
    this.anyWindow = Arrays.stream(groups).anyMatch(GroupPool::isWindowed);
    this.taken = new int[groups.length][];
  }

  /** The key of a node that is about to be added behind another. */
  UnitKey keyOf(int parentNode, PrefixScope whose, int[] tokens, int offset) {
    return parentNode == PrefixIndex.NO_NODE
        ? chain.first(whose, tokens)
        : chain.next(index.key(parentNode), tokens, offset);
  }

  /** A findable block is about to hold something else. */
  void lost(int group, int block, int node) {
    tier.keep(
        new BlockKey(index.key(node), index.scopeOf(node), group, index.indexInNode(group, block)),
        block);
  }

  /**
   * Appends blocks to the tables of a sequence that has just been given its first units.
   *
   * @param limit units to reach at most
   * @return units that it has now
   */
  int restore(SequenceBlocks blocks, int[] tokens, int limit) {
    scope = blocks.scope;
    first = blocks.numUnits;
    collect(blocks, tokens, limit);
    int end = first + keys.size();
    while (end > first && !(hasWindows(end) && hasRoom(end))) {
      end--;
    }
    if (end == first) {
      return first;
    }
    int reached = fill(end);
    if (reached < end) {
      drop(anyWindow ? first : reached, end);
      reached = anyWindow ? first : reached;
    }
    append(blocks, reached);
    return reached;
  }

  /**
   * Notes keys and nodes of the units that follow, as far as the groups that keep all have them.
   */
  private void collect(SequenceBlocks blocks, int[] tokens, int limit) {
    keys.clear();
    nodes.clear();
    int unit = index.unitTokens();
    int node = blocks.node;
    UnitKey key = node == PrefixIndex.NO_NODE ? null : index.key(node);
    boolean known = true;
    for (int u = first; u < limit; u++) {
      key = key == null ? chain.first(scope, tokens) : chain.next(key, tokens, u * unit);
      node = known ? index.find(node, scope, tokens, u * unit) : PrefixIndex.NO_NODE;
      known = node != PrefixIndex.NO_NODE;
      keys.add(key);
      nodes.add(node);
      if (!isWhole(u)) {
        keys.removeLast();
        nodes.removeLast();
        return;
      }
    }
  }

  private boolean isWhole(int u) {
    for (int g = 0; g < groups.length; g++) {
      for (int i = 0; i < index.blocksPerUnit(g) && !groups[g].isWindowed(); i++) {
        if (!canHave(u, g, i)) {
          return false;
        }
      }
    }
    return true;
  }

  private int resident(int u, int g, int i) {
    int node = nodes.get(u - first);
    return node == PrefixIndex.NO_NODE ? BlockPool.NO_BLOCK : index.block(node, g, i);
  }

  private BlockKey key(int u, int g, int i) {
    return new BlockKey(keys.get(u - first), scope, g, i);
  }

  private boolean canHave(int u, int g, int i) {
    return resident(u, g, i) != BlockPool.NO_BLOCK || tier.has(key(u, g, i));
  }

  /** First block of a group that is needed behind some units, of those that are brought back. */
  private int firstBlock(int g, int end) {
    int perUnit = index.blocksPerUnit(g);
    int needed = groups[g].firstNeeded(end * index.unitTokens()) / groups[g].blockTokens();
    return Math.min(end * perUnit, Math.max(first * perUnit, needed));
  }

  private boolean hasWindows(int end) {
    for (int g = 0; g < groups.length; g++) {
      int perUnit = index.blocksPerUnit(g);
      for (int b = firstBlock(g, end); b < end * perUnit && groups[g].isWindowed(); b++) {
        if (!canHave(b / perUnit, g, b % perUnit)) {
          return false;
        }
      }
    }
    return true;
  }

  private boolean hasRoom(int end) {
    for (int g = 0; g < groups.length; g++) {
      int perUnit = index.blocksPerUnit(g);
      int wanted = 0;
      for (int b = firstBlock(g, end); b < end * perUnit; b++) {
        int block = resident(b / perUnit, g, b % perUnit);
        wanted += block == BlockPool.NO_BLOCK || pools[g].refCount(block) == 0 ? 1 : 0;
      }
      if (wanted > pools[g].numFree()) {
        return false;
      }
    }
    return true;
  }

  /** Takes the blocks of units up to an end; returns the unit that failed, or the end. */
  private int fill(int end) {
    for (int g = 0; g < groups.length; g++) {
      int perUnit = index.blocksPerUnit(g);
      taken[g] = new int[(end - first) * perUnit];
      Arrays.fill(taken[g], BlockPool.NO_BLOCK);
      for (int b = firstBlock(g, end); b < end * perUnit; b++) {
        int block = resident(b / perUnit, g, b % perUnit);
        if (block != BlockPool.NO_BLOCK) {
          take(g, block);
          taken[g][b - first * perUnit] = block;
        }
      }
    }
    for (int u = first; u < end; u++) {
      for (int g = 0; g < groups.length; g++) {
        if (!fill(u, g, end)) {
          return u;
        }
      }
    }
    return end;
  }

  private boolean fill(int u, int g, int end) {
    int perUnit = index.blocksPerUnit(g);
    for (int b = Math.max(u * perUnit, firstBlock(g, end)); b < (u + 1) * perUnit; b++) {
      int at = b - first * perUnit;
      if (taken[g][at] == BlockPool.NO_BLOCK) {
        int block = pools[g].allocate();
        if (block == BlockPool.NO_BLOCK) {
          return false;
        }
        taken[g][at] = block;
        if (!tier.bringBack(key(u, g, b % perUnit), block)) {
          return false;
        }
      }
    }
    return true;
  }

  private void take(int g, int block) {
    if (pools[g].refCount(block) == 0) {
      pools[g].reclaim(block);
    } else {
      pools[g].retain(block);
    }
  }

  /** Gives back the blocks of units from one on. */
  private void drop(int from, int end) {
    for (int g = 0; g < groups.length; g++) {
      int perUnit = index.blocksPerUnit(g);
      for (int at = (end - first) * perUnit - 1; at >= (from - first) * perUnit; at--) {
        if (taken[g][at] != BlockPool.NO_BLOCK) {
          pools[g].release(taken[g][at]);
        }
      }
    }
  }

  private void append(SequenceBlocks blocks, int end) {
    for (int g = 0; g < groups.length; g++) {
      BlockTable table = blocks.tables[g];
      if (groups[g].isWindowed() && end > first) {
        table.releaseBefore(groups[g].firstNeeded(end * index.unitTokens()), pools[g]);
      }
      for (int at = 0; at < (end - first) * index.blocksPerUnit(g); at++) {
        table.append(taken[g][at]);
      }
    }
  }
}
