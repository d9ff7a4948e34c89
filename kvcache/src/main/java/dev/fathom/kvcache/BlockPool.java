package dev.fathom.kvcache;

import java.util.Arrays;
import java.util.Collection;

/**
 * Who uses which block: a fixed number of blocks with reference counts and a list of the free ones.
 *
 * <p>A block is an id in [0, numBlocks). It is free (no references, in the free list) or used (at
 * least one reference, not in the list). {@link #allocate()} takes the block that has been free the
 * longest; {@link #release} puts a block that lost its last reference at the end, so what a block
 * held stays findable as long as possible, and {@link #reclaim} can take it back out of the middle.
 *
 * <p>The free list is intrusive and doubly linked, with a sentinel at index N = numBlocks:
 *
 * <pre>
 *   N = 4, free 2, then 0                 index   0   1   2   3   4 = sentinel
 *                                         refs    0   1   0   3
 *   sentinel -> 2 -> 0 -> sentinel        next    4   .   0   .   2
 *                                         prev    2   .   4   .   0
 * </pre>
 *
 * <p>Each operation is O(1) for a block and allocates nothing. Pure: no clock, no thread, no random
 * number, no bytes of any backend. Threads: one, the scheduler's.
 */
public final class BlockPool {
  /** What {@link #allocate()} returns when no block is free. */
  public static final int NO_BLOCK = -1;

  /** References of each block; package-private so that tests can break it. */
  final int[] refs;

  /**
   * Neighbours in the free list, {@link #NO_BLOCK} for used blocks; the last element is the
   * sentinel.
   */
  final int[] prev;

  /** See {@link #prev}. */
  final int[] next;

  private final int sentinel;
  private int numFree;
  private Reuse reuse = block -> {};

  /** Hears that a free block is given out again, so that what it held is lost. */
  @FunctionalInterface
  public interface Reuse {
    /** Called by {@link #allocate} before the block is used; its bytes are still there. */
    void reused(int block);
  }

  /**
   * A pool whose blocks are all free, in the order of their ids.
   *
   * @throws IllegalArgumentException if {@code numBlocks} is below 1 or above 2^31-2
   */
  public BlockPool(int numBlocks) {
    Checks.atLeast(1, "numBlocks", numBlocks);
    Checks.atMost(Integer.MAX_VALUE - 1, "numBlocks", numBlocks);
    sentinel = numBlocks;
    numFree = numBlocks;
    refs = new int[numBlocks];
    prev = new int[numBlocks + 1];
    next = new int[numBlocks + 1];
    for (int i = 0; i <= numBlocks; i++) {
      next[i] = i == numBlocks ? 0 : i + 1;
      prev[i] = i == 0 ? numBlocks : i - 1;
    }
  }

  /** Sets who hears of blocks that {@link #allocate} gives out. */
  public void onReuse(Reuse listener) {
    reuse = listener;
  }

  /** Blocks in all. */
  public int numBlocks() {
    return refs.length;
  }

  /** Blocks that nobody refers to. */
  public int numFree() {
    return numFree;
  }

  /**
   * References to a block, 0 if it is free.
   *
   * @throws IndexOutOfBoundsException if there is no such block
   */
  public int refCount(int block) {
    Checks.index("block", block, refs.length);
    return refs[block];
  }

  /**
   * Takes the block that has been free the longest, with one reference, or {@link #NO_BLOCK} if
   * there is none.
   */
  public int allocate() {
    if (numFree == 0) {
      return NO_BLOCK;
    }
    int block = next[sentinel];
    unlink(block);
    refs[block] = 1;
    reuse.reused(block);
    return block;
  }

  /**
   * Takes n blocks with one reference each, or none at all.
   *
   * @param out receives the ids at {@code off}, unless it is none
   * @return n, or {@link #NO_BLOCK} if fewer than n are free; nothing has changed then
   * @throws IllegalArgumentException if n is negative
   * @throws IndexOutOfBoundsException if the ids don't fit; nothing has changed then
   */
  public int allocate(int n, int[] out, int off) {
    Checks.atLeast(0, "n", n);
    Checks.range("out", off, n, out.length);
    if (n > numFree) {
      return NO_BLOCK;
    }
    for (int i = 0; i < n; i++) {
      out[off + i] = allocate();
    }
    return n;
  }

  /**
   * Adds a reference to a used block.
   *
   * @throws IllegalStateException if the block is free (it may be given out any moment; see {@link
   *     #reclaim}) or has 2^31-1 references
   * @throws IndexOutOfBoundsException if there is no such block
   */
  public void retain(int block) {
    requireUsed(block, "retain");
    if (refs[block] == Integer.MAX_VALUE) {
      throw new IllegalStateException("must be < 2147483647: refCount of block=" + block);
    }
    refs[block]++;
  }

  /**
   * Takes a certain free block out of the free list, with one reference, since what it held is
   * wanted again.
   *
   * @throws IllegalStateException if the block is used; see {@link #retain}
   * @throws IndexOutOfBoundsException if there is no such block
   */
  public void reclaim(int block) {
    Checks.index("block", block, refs.length);
    if (refs[block] != 0) {
      throw new IllegalStateException(
          "must be free to reclaim: block=" + block + " refCount=" + refs[block]);
    }
    unlink(block);
    refs[block] = 1;
  }

  /**
   * Drops a reference; the last one frees the block.
   *
   * @return true if the block is free now
   * @throws IllegalStateException if the block is free already
   * @throws IndexOutOfBoundsException if there is no such block
   */
  public boolean release(int block) {
    requireUsed(block, "release");
    refs[block]--;
    if (refs[block] > 0) {
      return false;
    }
    append(block);
    return true;
  }

  private void requireUsed(int block, String operation) {
    Checks.index("block", block, refs.length);
    if (refs[block] == 0) {
      throw new IllegalStateException(
          "must be used to " + operation + ": block=" + block + " refCount=0");
    }
  }

  private void unlink(int block) {
    next[prev[block]] = next[block];
    prev[next[block]] = prev[block];
    next[block] = NO_BLOCK;
    prev[block] = NO_BLOCK;
    numFree--;
  }

  private void append(int block) {
    int last = prev[sentinel];
    next[last] = block;
    prev[block] = last;
    next[block] = sentinel;
    prev[sentinel] = block;
    numFree++;
  }

  /**
   * Checks the pool by itself: a block is in the free list exactly if it has no references, no
   * count is negative, the list runs the same both ways, and its length is {@link #numFree()}.
   * O(N); for tests and idle times.
   *
   * @throws IllegalStateException if a rule is broken; the message says which and where
   */
  public void checkInvariants() {
    int length = 0;
    for (int block = next[sentinel]; block != sentinel; block = next[block]) {
      require(block >= 0 && block < refs.length, "free list must hold blocks", block);
      require(length < refs.length, "free list must end", block);
      require(refs[block] == 0, "a block in the free list must have refCount 0", block);
      require(prev[next[block]] == block, "free list must run the same both ways", block);
      length++;
    }
    requireEqual(length, "numFree must be the length of the free list, ", numFree);
    int unused = 0;
    for (int block = 0; block < refs.length; block++) {
      require(refs[block] >= 0, "refCount must be >= 0", block);
      unused += refs[block] == 0 ? 1 : 0;
    }
    requireEqual(unused, "numFree must be the blocks with refCount 0, ", numFree);
  }

  /**
   * Checks the pool and who uses it: besides {@link #checkInvariants()}, each block has as many
   * references as there are tables that hold it, no table holds a block twice, and each table has
   * just the blocks that its tokens need.
   *
   * @param tables all tables over this pool; nobody else may hold a reference
   * @throws IllegalStateException if a rule is broken; the message says which and where
   */
  public void checkInvariants(Collection<BlockTable> tables) {
    checkInvariants();
    int[] holders = new int[refs.length];
    int[] lastTable = new int[refs.length];
    Arrays.fill(lastTable, -1);
    int index = 0;
    for (BlockTable table : tables) {
      require(
          table.numBlocks() == Math.ceilDiv(table.numTokens(), table.blockTokens()),
          "a table must have just the blocks of its tokens, table",
          index);
      for (int i = table.numReleased(); i < table.numBlocks(); i++) {
        int block = table.blockAt(i);
        require(lastTable[block] != index, "a table must hold a block once", block);
        lastTable[block] = index;
        holders[block]++;
      }
      index++;
    }
    for (int block = 0; block < refs.length; block++) {
      if (holders[block] != refs[block]) {
        throw new IllegalStateException(
            "refCount must be the number of tables, "
                + holders[block]
                + ", for refCount "
                + refs[block]
                + ": "
                + block);
      }
    }
  }

  private static void requireEqual(int expected, String rule, int value) {
    if (expected != value) {
      throw new IllegalStateException(rule + expected + ": " + value);
    }
  }

  private static void require(boolean holds, String rule, int value) {
    if (!holds) {
      throw new IllegalStateException(rule + ": " + value);
    }
  }
}
