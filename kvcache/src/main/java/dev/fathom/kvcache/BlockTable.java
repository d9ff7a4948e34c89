package dev.fathom.kvcache;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The blocks of one sequence in one group, in the order of its tokens.
 *
 * <p>Position p of the sequence lies in block {@code blockAt(p / B)} at row {@code p % B}, with B =
 * blockTokens:
 *
 * <pre>
 *   B = 4, numTokens = 10        index       0         1         2
 *                                block       7         2         5
 *                                positions   0..3      4..7      8 9 . .
 *   slot(9) = 5 · 4 + 1 = 21
 * </pre>
 *
 * <p>In a group with a window the first {@link #numReleased()} blocks are gone: their index reads
 * {@link BlockPool#NO_BLOCK}.
 *
 * <p>{@link #numTokens()} counts the positions that the table has room for on purpose: computed
 * ones, those of this step, and look-ahead. The table always has just ceil(numTokens / B) indexes,
 * and holds one reference to the block of each that was not released. It grows at the end and
 * shrinks from the end; only {@link #unshare} replaces a block in place.
 *
 * <p>Writing rule: a block with more than one reference must not be written. Tables come to share
 * blocks by {@link #fork} alone, which shares only blocks that both keep as they are; after {@link
 * #truncate} into such a block, {@link #unshare} gives this table its own copy before the next
 * write.
 *
 * <p>Whoever drops a table calls {@link #releaseAll} first. Allocates memory only to grow its own
 * array. Threads: one, the scheduler's.
 */
public final class BlockTable {
  private static final int INITIAL_BLOCKS = 8;

  private final int blockTokens;
  private int[] blocks;
  private int numBlocks;
  private int numReleased;
  private int numTokens;

  /**
   * An empty table.
   *
   * @param blockTokens B, tokens of a block
   * @throws IllegalArgumentException if {@code blockTokens} is below 1
   */
  public BlockTable(int blockTokens) {
    this(blockTokens, INITIAL_BLOCKS);
  }

  /**
   * An empty table that holds some blocks without growing.
   *
   * @param blockTokens B, tokens of a block
   * @param expectedBlocks room for so many blocks, at least 0
   * @throws IllegalArgumentException if a size is too small
   */
  public BlockTable(int blockTokens, int expectedBlocks) {
    Checks.atLeast(1, "blockTokens", blockTokens);
    Checks.atLeast(0, "expectedBlocks", expectedBlocks);
    this.blockTokens = blockTokens;
    this.blocks = new int[expectedBlocks];
  }

  /** B: tokens of a block. */
  public int blockTokens() {
    return blockTokens;
  }

  /** Blocks of the table. */
  public int numBlocks() {
    return numBlocks;
  }

  /** Blocks at the beginning that were released since no later token needs them. */
  public int numReleased() {
    return numReleased;
  }

  /** Positions that the table has room for on purpose; at most {@link #capacityTokens()}. */
  public int numTokens() {
    return numTokens;
  }

  /** Positions that fit the blocks of the table. */
  public long capacityTokens() {
    return (long) numBlocks * blockTokens;
  }

  /**
   * Block id at an index, {@link BlockPool#NO_BLOCK} where it was released.
   *
   * @throws IndexOutOfBoundsException if {@code i} is not in [0, numBlocks)
   */
  public int blockAt(int i) {
    Checks.index("i", i, numBlocks);
    return blocks[i];
  }

  /**
   * Copies the block ids to {@code out[off, off + numBlocks)}.
   *
   * @throws IndexOutOfBoundsException if they don't fit
   */
  public void copyTo(int[] out, int off) {
    Checks.range("out", off, numBlocks, out.length);
    System.arraycopy(blocks, 0, out, off, numBlocks);
  }

  /**
   * Where a position lies in the memory of each layer: block id · B + row in the block.
   *
   * @throws IndexOutOfBoundsException if the position is not in [0, numTokens)
   * @throws ArithmeticException if the slot does not fit an int
   */
  public int slot(int position) {
    Checks.index("position", position, numTokens);
    int block = blocks[position / blockTokens];
    return Math.addExact(Math.multiplyExact(block, blockTokens), position % blockTokens);
  }

  /**
   * Makes room for positions [0, numTokens), all or nothing; never shrinks.
   *
   * @return false if the pool has too few free blocks; nothing has changed then
   * @throws IllegalArgumentException if {@code numTokens} is negative
   */
  public boolean ensureCapacity(int numTokens, BlockPool pool) {
    Checks.atLeast(0, "numTokens", numTokens);
    int needed = Math.ceilDiv(numTokens, blockTokens);
    if (needed > numBlocks) {
      int missing = needed - numBlocks;
      if (missing > pool.numFree()) {
        return false;
      }
      grow(needed);
      pool.allocate(missing, blocks, numBlocks);
      numBlocks = needed;
    }
    this.numTokens = Math.max(this.numTokens, numTokens);
    return true;
  }

  private void grow(int needed) {
    if (needed > blocks.length) {
      long doubled = Math.min(2L * blocks.length, Integer.MAX_VALUE - 8);
      blocks = Arrays.copyOf(blocks, Math.max(needed, (int) doubled));
    }
  }

  /**
   * Drops the positions from {@code numTokens} on and releases the blocks that they leave empty,
   * last first.
   *
   * @throws IllegalArgumentException if {@code numTokens} is negative or above {@link #numTokens()}
   */
  public void truncate(int numTokens, BlockPool pool) {
    Checks.atLeast(0, "numTokens", numTokens);
    Checks.atMost(this.numTokens, "numTokens", numTokens);
    int kept = Math.ceilDiv(numTokens, blockTokens);
    while (numBlocks > kept) {
      numBlocks--;
      if (numBlocks >= numReleased) {
        pool.release(blocks[numBlocks]);
      }
    }
    numReleased = Math.min(numReleased, numBlocks);
    this.numTokens = numTokens;
  }

  /**
   * Releases the blocks whose positions are all below {@code position}; later indexes stay.
   *
   * @throws IllegalArgumentException if {@code position} is negative
   */
  public void releaseBefore(int position, BlockPool pool) {
    Checks.atLeast(0, "position", position);
    int end = Math.min(numBlocks, position / blockTokens);
    while (numReleased < end) {
      pool.release(blocks[numReleased]);
      blocks[numReleased++] = BlockPool.NO_BLOCK;
    }
  }

  /**
   * Appends a full block whose reference the table takes over, or a released one.
   *
   * @param block a block, or {@link BlockPool#NO_BLOCK} as long as all before it are released too
   * @throws IllegalStateException if the last block is partly filled
   * @throws IllegalArgumentException if a released block follows one that is not
   */
  public void append(int block) {
    if (numTokens != capacityTokens()) {
      throw new IllegalStateException("must be full to append: numTokens=" + numTokens);
    }
    if (block == BlockPool.NO_BLOCK) {
      if (numReleased != numBlocks) {
        throw new IllegalArgumentException("must follow released blocks: index=" + numBlocks);
      }
      numReleased++;
    }
    grow(numBlocks + 1);
    blocks[numBlocks++] = block;
    numTokens = Math.multiplyExact(numBlocks, blockTokens);
  }

  /**
   * Shares the blocks of positions [0, numTokens) with an empty table, a partly filled last one
   * included: who writes to that first has to {@link #replace} it.
   *
   * @throws IllegalArgumentException if {@code numTokens} is negative or above {@link #numTokens()}
   * @throws IllegalStateException if the other table is not empty
   */
  public void share(BlockTable other, int numTokens, BlockPool pool) {
    Checks.atLeast(0, "numTokens", numTokens);
    Checks.atMost(this.numTokens, "numTokens", numTokens);
    if (other.numBlocks > 0) {
      throw new IllegalStateException("must be empty to share: blocks=" + other.numBlocks);
    }
    int count = Math.ceilDiv(numTokens, blockTokens);
    other.grow(count);
    for (int i = 0; i < count; i++) {
      if (i >= numReleased) {
        pool.retain(blocks[i]);
      }
      other.blocks[i] = blocks[i];
    }
    other.numBlocks = count;
    other.numReleased = Math.min(numReleased, count);
    other.numTokens = numTokens;
  }

  /** Puts a block whose reference the table takes over in the place of another, and returns it. */
  int replace(int index, int block) {
    int old = blocks[index];
    blocks[index] = block;
    return old;
  }

  /**
   * Releases all blocks, last first, so that the head of the sequence stays findable longest; a
   * second call does nothing.
   */
  public void releaseAll(BlockPool pool) {
    truncate(0, pool);
  }

  /**
   * Forks at {@link #numTokens()}; right only if all its positions hold computed values, else see
   * {@link #fork(int, BlockPool)}.
   *
   * @return null if a copy is needed and no block is free; nothing has changed then
   */
  public @Nullable Fork fork(BlockPool pool) {
    return fork(numTokens, pool);
  }

  /**
   * A second table over the first {@code numTokens} positions, for a sequence that continues
   * differently.
   *
   * <p>Full blocks are shared. A partly filled last block is not, as both sequences will write to
   * it: the new table gets a fresh one, which has to be filled by the returned copy before the next
   * step.
   *
   * @param numTokens positions whose values are computed, without look-ahead
   * @return null if a copy is needed and no block is free; nothing has changed then
   * @throws IllegalArgumentException if {@code numTokens} is negative or above {@link #numTokens()}
   */
  public @Nullable Fork fork(int numTokens, BlockPool pool) {
    Checks.atLeast(0, "numTokens", numTokens);
    Checks.atMost(this.numTokens, "numTokens", numTokens);
    int full = numTokens / blockTokens;
    boolean isPartial = numTokens % blockTokens != 0;
    if (isPartial && pool.numFree() == 0) {
      return null;
    }
    BlockTable other = new BlockTable(blockTokens, Math.max(blocks.length, INITIAL_BLOCKS));
    for (int i = 0; i < full; i++) {
      pool.retain(blocks[i]);
      other.blocks[i] = blocks[i];
    }
    other.numBlocks = full;
    other.numTokens = full * blockTokens;
    if (!isPartial) {
      return new Fork(other, null);
    }
    other.ensureCapacity(numTokens, pool);
    return new Fork(other, new BlockCopy(blocks[full], other.blocks[full]));
  }

  /**
   * True if this table alone holds the block of a position, so that the position may be written.
   *
   * @throws IndexOutOfBoundsException if the position is not in [0, numTokens)
   */
  public boolean isWritable(int position, BlockPool pool) {
    Checks.index("position", position, numTokens);
    return pool.refCount(blocks[position / blockTokens]) == 1;
  }

  /**
   * Replaces the shared block of a position by a fresh one of this table alone (copy on write).
   *
   * @return the copy to run before the step that writes, null if no block is free; nothing has
   *     changed then
   * @throws IllegalStateException if the block is not shared
   * @throws IndexOutOfBoundsException if the position is not in [0, numTokens)
   */
  public @Nullable BlockCopy unshare(int position, BlockPool pool) {
    if (isWritable(position, pool)) {
      throw new IllegalStateException("must be in a shared block: position=" + position);
    }
    int fresh = pool.allocate();
    if (fresh == BlockPool.NO_BLOCK) {
      return null;
    }
    int index = position / blockTokens;
    int shared = blocks[index];
    pool.release(shared);
    blocks[index] = fresh;
    return new BlockCopy(shared, fresh);
  }

  /**
   * What {@link BlockTable#fork(BlockPool)} made.
   *
   * @param table the new table
   * @param copy the block to copy before the next step, null if the last block was full
   */
  public record Fork(BlockTable table, @Nullable BlockCopy copy) {}

  /** Tokens and block ids. */
  @Override
  public String toString() {
    return "BlockTable[numTokens="
        + numTokens
        + ", blocks="
        + Arrays.toString(Arrays.copyOf(blocks, numBlocks))
        + "]";
  }
}
