package dev.fathom.kvcache;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Finds the blocks of a prefix that somebody computed before.
 *
 * <p>A node stands for a unit of tokens behind the units of its parents: {@code unitTokens} tokens,
 * the least that is a whole number of blocks in each group. It remembers the block ids that hold
 * them, for each group as many as a unit has, {@link BlockPool#NO_BLOCK} where there is none (any
 * more).
 *
 * <pre>
 *   root -- [a b c d] -- [e f g h]          unitTokens = 4
 *       \             \- [e f g x]          blocks of a node: group 0: 7   group 1 (span 2): 3, 5
 *        \- [a b y z]
 * </pre>
 *
 * <p>Nodes are found by a keyed 128-bit hash chained over the units from the root. The hash is only
 * a short cut: a hit also has the same parent and the same tokens, and the first unit the same
 * {@link PrefixScope}, so that no collision can bring back the blocks of another prefix.
 *
 * <p>A node lives while one of its blocks is findable, another node hangs on it, or a sequence pins
 * it. Everything is in arrays of fixed size: no operation allocates. Where all nodes are in use,
 * {@link #add} gives none. Threads: one, the scheduler's.
 */
public final class PrefixIndex {
  /** No node; as a parent: the root. */
  public static final int NO_NODE = -1;

  private static final long MULTIPLIER_HIGH = 0x9E3779B97F4A7C15L;
  private static final long MULTIPLIER_LOW = 0xD1B54A32D192ED03L;

  private final int unitTokens;
  private final int blocksPerNode;
  private final int[] firstBlockOf;
  private final int[][] nodeOf;
  private final long seed;
  private final long hashMask;

  private final long[] high;
  private final long[] low;
  private final int[] parent;
  private final int[] uses;
  private final int[] resident;
  private final long[] saltHigh;
  private final long[] saltLow;
  private final long[] adapter;
  private final int[] tokens;
  private final int[] blocks;
  private final int[] freeNodes;
  private final @Nullable UnitKey[] keys;
  private int numFree;

  private final int[] slots;
  private long hashHigh;
  private long hashLow;

  /**
   * An empty index.
   *
   * @param groups the pools whose blocks are indexed
   * @param seed key of the hash; nobody outside should know it
   * @param hashBits bits kept of each half of the hash, 64 but in tests
   */
  PrefixIndex(GroupPool[] groups, long seed, int hashBits) {
    this.seed = seed;
    this.hashMask = hashBits == Long.SIZE ? -1 : (1L << hashBits) - 1;
    this.unitTokens = unitOf(groups);
    this.firstBlockOf = new int[groups.length + 1];
    this.nodeOf = new int[groups.length][];
    int numNodes = 0;
    for (int g = 0; g < groups.length; g++) {
      firstBlockOf[g + 1] = firstBlockOf[g] + unitTokens / groups[g].blockTokens();
      nodeOf[g] = new int[groups[g].numBlocks()];
      Arrays.fill(nodeOf[g], NO_NODE);
      int perUnit = firstBlockOf[g + 1] - firstBlockOf[g];
      numNodes = Math.max(numNodes, Math.ceilDiv(groups[g].numBlocks(), perUnit));
    }
    this.blocksPerNode = firstBlockOf[groups.length];
    high = new long[numNodes];
    low = new long[numNodes];
    parent = new int[numNodes];
    uses = new int[numNodes];
    resident = new int[numNodes];
    saltHigh = new long[numNodes];
    saltLow = new long[numNodes];
    adapter = new long[numNodes];
    tokens = new int[Math.multiplyExact(numNodes, unitTokens)];
    blocks = new int[Math.multiplyExact(numNodes, blocksPerNode)];
    Arrays.fill(blocks, BlockPool.NO_BLOCK);
    keys = new UnitKey[numNodes];
    freeNodes = new int[numNodes];
    for (int i = 0; i < numNodes; i++) {
      freeNodes[i] = numNodes - 1 - i;
    }
    numFree = numNodes;
    slots = new int[Integer.highestOneBit(Math.max(1, numNodes)) * 4];
    Arrays.fill(slots, NO_NODE);
  }

  private static int unitOf(GroupPool[] groups) {
    long unit = 1;
    for (GroupPool group : groups) {
      long a = unit;
      long b = group.blockTokens();
      while (b != 0) {
        long rest = a % b;
        a = b;
        b = rest;
      }
      unit = Math.multiplyExact(unit / a, (long) group.blockTokens());
    }
    return Math.toIntExact(unit);
  }

  /** Tokens of a unit: the granularity of hits. */
  int unitTokens() {
    return unitTokens;
  }

  /** Blocks that a unit has in a group. */
  int blocksPerUnit(int group) {
    return firstBlockOf[group + 1] - firstBlockOf[group];
  }

  /** Nodes in use. */
  int numNodes() {
    return freeNodes.length - numFree;
  }

  private void hash(int parentNode, PrefixScope scope, int[] source, int offset) {
    long h;
    long l;
    if (parentNode == NO_NODE) {
      h = mix(seed ^ scope.saltHigh());
      l = mix(h ^ scope.saltLow()) + scope.adapter();
    } else {
      h = high[parentNode] ^ seed;
      l = low[parentNode] + seed;
    }
    for (int i = 0; i < unitTokens; i++) {
      long token = source[offset + i];
      l = (l ^ token) * MULTIPLIER_LOW;
      l ^= l >>> 29;
      h = (Long.rotateLeft(h, 23) + token) * MULTIPLIER_HIGH ^ l;
    }
    hashHigh = mix(h) & hashMask;
    hashLow = mix(l ^ h) & hashMask;
  }

  private static long mix(long value) {
    long z = (value ^ (value >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  /**
   * The node of a unit, {@link #NO_NODE} if there is none.
   *
   * @param parentNode node of the units before, or {@link #NO_NODE} for the first one
   * @param scope who asks; looked at for the first unit only
   * @param source tokens of the sequence
   * @param offset where the unit begins in them
   */
  int find(int parentNode, PrefixScope scope, int[] source, int offset) {
    hash(parentNode, scope, source, offset);
    int mask = slots.length - 1;
    for (int s = home(hashHigh, hashLow); slots[s] != NO_NODE; s = (s + 1) & mask) {
      int node = slots[s];
      if (high[node] == hashHigh
          && low[node] == hashLow
          && parent[node] == parentNode
          && (parentNode != NO_NODE || isOf(node, scope))
          && hasTokens(node, source, offset)) {
        return node;
      }
    }
    return NO_NODE;
  }

  boolean isOf(int node, PrefixScope scope) {
    return saltHigh[node] == scope.saltHigh()
        && saltLow[node] == scope.saltLow()
        && adapter[node] == scope.adapter();
  }

  private boolean hasTokens(int node, int[] source, int offset) {
    int first = node * unitTokens;
    return Arrays.equals(tokens, first, first + unitTokens, source, offset, offset + unitTokens);
  }

  private int home(long h, long l) {
    return (int) mix(h + l * MULTIPLIER_LOW) & (slots.length - 1);
  }

  /**
   * A new node for a unit that {@link #find} did not find, or {@link #NO_NODE} if all are in use.
   * It is pinned once; see {@link #unpin}.
   */
  int add(int parentNode, PrefixScope scope, int[] source, int offset) {
    if (numFree == 0) {
      return NO_NODE;
    }
    hash(parentNode, scope, source, offset);
    int node = freeNodes[--numFree];
    high[node] = hashHigh;
    low[node] = hashLow;
    parent[node] = parentNode;
    saltHigh[node] = scope.saltHigh();
    saltLow[node] = scope.saltLow();
    adapter[node] = scope.adapter();
    System.arraycopy(source, offset, tokens, node * unitTokens, unitTokens);
    uses[node] = 1;
    resident[node] = 0;
    if (parentNode != NO_NODE) {
      uses[parentNode]++;
    }
    int mask = slots.length - 1;
    int s = home(hashHigh, hashLow);
    while (slots[s] != NO_NODE) {
      s = (s + 1) & mask;
    }
    slots[s] = node;
    return node;
  }

  /** Keeps a node alive; does nothing for {@link #NO_NODE}. */
  void pin(int node) {
    if (node != NO_NODE) {
      uses[node]++;
    }
  }

  /** Takes a pin back; does nothing for {@link #NO_NODE}. */
  void unpin(int node) {
    if (node != NO_NODE) {
      uses[node]--;
      drop(node);
    }
  }

  private void drop(int unused) {
    int node = unused;
    while (node != NO_NODE && uses[node] == 0 && resident[node] == 0) {
      unlink(node);
      freeNodes[numFree++] = node;
      node = parent[node];
      if (node != NO_NODE) {
        uses[node]--;
      }
    }
  }

  /** Takes a node out of the table and closes the gap, so that no probe ends too early. */
  private void unlink(int node) {
    int mask = slots.length - 1;
    int gap = home(high[node], low[node]);
    while (slots[gap] != node) {
      gap = (gap + 1) & mask;
    }
    slots[gap] = NO_NODE;
    for (int s = (gap + 1) & mask; slots[s] != NO_NODE; s = (s + 1) & mask) {
      int wanted = home(high[slots[s]], low[slots[s]]);
      if (((s - wanted) & mask) >= ((s - gap) & mask)) {
        slots[gap] = slots[s];
        slots[s] = NO_NODE;
        gap = s;
      }
    }
  }

  /** The i-th block of a node in a group, {@link BlockPool#NO_BLOCK} if it is not there. */
  int block(int node, int group, int i) {
    return blocks[node * blocksPerNode + firstBlockOf[group] + i];
  }

  /** Makes a full block findable, unless the node has one already or the block is. */
  void publish(int node, int group, int i, int block) {
    int at = node * blocksPerNode + firstBlockOf[group] + i;
    if (blocks[at] == BlockPool.NO_BLOCK && nodeOf[group][block] == NO_NODE) {
      blocks[at] = block;
      nodeOf[group][block] = node;
      resident[node]++;
    }
  }

  /** The node by which a block is findable, or {@link #NO_NODE}. */
  int nodeOf(int group, int block) {
    return nodeOf[group][block];
  }

  /** Upper half of a node's hash. */
  long hashHigh(int node) {
    return high[node];
  }

  /** Lower half of a node's hash. */
  long hashLow(int node) {
    return low[node];
  }

  /** The node of the units before, or {@link #NO_NODE}. */
  int parent(int node) {
    return parent[node];
  }

  /** Notes what a node is called outside the process, where blocks have a second tier. */
  void setKey(int node, UnitKey key) {
    keys[node] = key;
  }

  /** What {@link #setKey} noted. */
  UnitKey key(int node) {
    UnitKey key = keys[node];
    if (key == null) {
      throw new IllegalStateException("must have a key: node=" + node);
    }
    return key;
  }

  /** The scope of a node. */
  PrefixScope scopeOf(int node) {
    return new PrefixScope(saltHigh[node], saltLow[node], adapter[node]);
  }

  /** Copies the tokens of a node's unit. */
  void copyTokens(int node, int[] out, int offset) {
    System.arraycopy(tokens, node * unitTokens, out, offset, unitTokens);
  }

  /** Index of a block among those of its node in its group. */
  int indexInNode(int group, int block) {
    int first = nodeOf[group][block] * blocksPerNode + firstBlockOf[group];
    int i = 0;
    while (blocks[first + i] != block) {
      i++;
    }
    return i;
  }

  /** Makes a block unfindable, since it is about to hold something else. */
  void forget(int group, int block) {
    int node = nodeOf[group][block];
    if (node == NO_NODE) {
      return;
    }
    blocks[node * blocksPerNode + firstBlockOf[group] + indexInNode(group, block)] =
        BlockPool.NO_BLOCK;
    nodeOf[group][block] = NO_NODE;
    resident[node]--;
    drop(node);
  }

  /**
   * Checks the index by itself; O(nodes), for tests.
   *
   * @param pins pins that sequences hold
   * @throws IllegalStateException if a rule is broken
   */
  void checkInvariants(int pins) {
    int[] counted = new int[parent.length];
    int[] found = new int[parent.length];
    int live = 0;
    for (int node : slots) {
      if (node != NO_NODE) {
        live++;
        counted[node]++;
        if (parent[node] != NO_NODE) {
          found[parent[node]]++;
        }
      }
    }
    int sum = 0;
    for (int node = 0; node < parent.length; node++) {
      int blocksThere = 0;
      for (int i = 0; i < blocksPerNode && counted[node] > 0; i++) {
        blocksThere += blocks[node * blocksPerNode + i] == BlockPool.NO_BLOCK ? 0 : 1;
      }
      require(counted[node] <= 1, "a node must be in the table once", node);
      require(
          counted[node] == 0 || resident[node] == blocksThere, "resident must be counted", node);
      require(counted[node] == 0 || uses[node] >= found[node], "children must be uses", node);
      require(counted[node] == 0 || uses[node] + resident[node] > 0, "a node must be of use", node);
      sum += counted[node] == 0 ? 0 : uses[node] - found[node];
    }
    require(live == numNodes(), "nodes in the table must be those in use", live);
    require(sum == pins, "pins must be those of sequences", sum);
  }

  private static void require(boolean holds, String rule, int value) {
    if (!holds) {
      throw new IllegalStateException(rule + ": " + value);
    }
  }
}
