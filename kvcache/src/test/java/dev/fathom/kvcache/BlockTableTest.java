package dev.fathom.kvcache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class BlockTableTest {
  private static int[] blocks(BlockTable table) {
    int[] ids = new int[table.numBlocks()];
    table.copyTo(ids, 0);
    return ids;
  }

  private static BlockTable filled(int blockTokens, int numTokens, BlockPool pool) {
    BlockTable table = new BlockTable(blockTokens);
    assertThat(table.ensureCapacity(numTokens, pool)).isTrue();
    return table;
  }

  @Test
  void aTableTakesJustTheBlocksThatItsTokensNeed() {
    BlockPool pool = new BlockPool(10);
    BlockTable table = new BlockTable(4);
    int[] tokens = {0, 1, 4, 5, 8, 9};
    int[] needed = {0, 1, 1, 2, 2, 3};
    for (int i = 0; i < tokens.length; i++) {
      assertThat(table.ensureCapacity(tokens[i], pool)).isTrue();
      assertThat(table.numBlocks()).isEqualTo(needed[i]);
      assertThat(table.numTokens()).isEqualTo(tokens[i]);
      pool.checkInvariants(List.of(table));
    }
    assertThat(table.ensureCapacity(2, pool)).isTrue();
    assertThat(table.numTokens()).isEqualTo(9);
    assertThat(table.capacityTokens()).isEqualTo(12);
  }

  @Test
  void slotsFollowTheBlocks() {
    BlockPool pool = new BlockPool(8);
    pool.reclaim(0);
    pool.reclaim(2);
    BlockTable table = filled(4, 10, pool);

    assertThat(blocks(table)).containsExactly(1, 3, 4);
    assertThat(table.slot(0)).isEqualTo(4);
    assertThat(table.slot(3)).isEqualTo(7);
    assertThat(table.slot(4)).isEqualTo(12);
    assertThat(table.slot(9)).isEqualTo(17);
    assertThatThrownBy(() -> table.slot(10))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("must be in [0, 10): position=10");
    assertThatThrownBy(() -> table.slot(-1)).hasMessage("must be in [0, 10): position=-1");
    assertThatThrownBy(() -> table.blockAt(3)).hasMessage("must be in [0, 3): i=3");
    assertThat(table).hasToString("BlockTable[numTokens=10, blocks=[1, 3, 4]]");
  }

  @Test
  void growingTakesAllBlocksOrNone() {
    BlockPool pool = new BlockPool(3);
    BlockTable table = filled(4, 5, pool);

    assertThat(table.ensureCapacity(13, pool)).isFalse();
    assertThat(table.numBlocks()).isEqualTo(2);
    assertThat(table.numTokens()).isEqualTo(5);
    assertThat(pool.numFree()).isEqualTo(1);
    assertThat(table.ensureCapacity(8, pool)).isTrue();
    assertThat(table.ensureCapacity(12, pool)).isTrue();
    pool.checkInvariants(List.of(table));
  }

  @Test
  void aFailedGrowthOfAHugeTableAllocatesNoArray() {
    BlockPool pool = new BlockPool(3);
    BlockTable table = new BlockTable(1);

    assertThat(table.ensureCapacity(Integer.MAX_VALUE, pool)).isFalse();
    assertThat(table.numBlocks()).isZero();
  }

  @Test
  void truncationReleasesTheBlocksThatAreEmptyNow() {
    BlockPool pool = new BlockPool(4);
    BlockTable table = filled(4, 16, pool);
    table.truncate(16, pool);
    assertThat(pool.numFree()).isZero();
    table.truncate(9, pool);
    assertThat(pool.numFree()).isEqualTo(1);
    table.truncate(8, pool);
    assertThat(pool.numFree()).isEqualTo(2);
    assertThatThrownBy(() -> table.truncate(9, pool))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be <= 8: numTokens=9");
    assertThatThrownBy(() -> table.truncate(-1, pool)).hasMessage("must be >= 0: numTokens=-1");
    pool.checkInvariants(List.of(table));
  }

  @Test
  void theTailOfASequenceIsReusedBeforeItsHead() {
    BlockPool pool = new BlockPool(3);
    BlockTable table = filled(2, 6, pool);
    assertThat(blocks(table)).containsExactly(0, 1, 2);
    table.releaseAll(pool);
    table.releaseAll(pool);

    assertThat(table.numBlocks()).isZero();
    assertThat(List.of(pool.allocate(), pool.allocate(), pool.allocate())).containsExactly(2, 1, 0);
  }

  @Test
  void aForkSharesFullBlocksAndCopiesThePartlyFilledOne() {
    BlockPool pool = new BlockPool(5);
    BlockTable table = filled(4, 10, pool);
    BlockTable.Fork fork = Objects.requireNonNull(table.fork(pool));

    assertThat(blocks(fork.table())).containsExactly(0, 1, 3);
    assertThat(fork.copy()).isEqualTo(new BlockCopy(2, 3));
    assertThat(fork.table().numTokens()).isEqualTo(10);
    assertThat(pool.refCount(0)).isEqualTo(2);
    assertThat(pool.refCount(2)).isEqualTo(1);
    assertThat(table.isWritable(7, pool)).isFalse();
    assertThat(table.isWritable(8, pool)).isTrue();
    pool.checkInvariants(List.of(table, fork.table()));
    table.releaseAll(pool);
    pool.checkInvariants(List.of(fork.table()));
    assertThat(fork.table().isWritable(7, pool)).isTrue();
  }

  @Test
  void aForkAtABlockBorderNeedsNoCopyAndNoFreeBlock() {
    BlockPool pool = new BlockPool(2);
    BlockTable table = filled(4, 8, pool);
    BlockTable.Fork fork = Objects.requireNonNull(table.fork(pool));

    assertThat(fork.copy()).isNull();
    assertThat(blocks(fork.table())).containsExactly(0, 1);
    BlockTable.Fork empty = Objects.requireNonNull(table.fork(0, pool));
    assertThat(empty.table().numBlocks()).isZero();
    pool.checkInvariants(List.of(table, fork.table(), empty.table()));
  }

  @Test
  void aForkBeforeTheLookAheadSharesNothingThatWillBeWritten() {
    BlockPool pool = new BlockPool(8);
    BlockTable table = filled(4, 12, pool);
    BlockTable.Fork fork = Objects.requireNonNull(table.fork(6, pool));

    assertThat(fork.copy()).isEqualTo(new BlockCopy(1, 3));
    assertThat(blocks(fork.table())).containsExactly(0, 3);
    assertThat(table.isWritable(6, pool)).isTrue();
    assertThatThrownBy(() -> table.fork(13, pool)).hasMessage("must be <= 12: numTokens=13");
    assertThatThrownBy(() -> table.fork(-1, pool)).hasMessage("must be >= 0: numTokens=-1");
  }

  @Test
  void aForkWithoutAFreeBlockChangesNothing() {
    BlockPool pool = new BlockPool(2);
    BlockTable table = filled(4, 7, pool);

    assertThat(table.fork(pool)).isNull();
    assertThat(pool.refCount(0)).isEqualTo(1);
    pool.checkInvariants(List.of(table));
  }

  @Test
  void aSharedBlockIsReplacedBeforeAWrite() {
    BlockPool pool = new BlockPool(3);
    BlockTable table = filled(4, 8, pool);
    BlockTable other = Objects.requireNonNull(table.fork(pool)).table();
    table.truncate(6, pool);
    assertThat(table.isWritable(6 - 1, pool)).isFalse();

    assertThat(table.unshare(5, pool)).isEqualTo(new BlockCopy(1, 2));
    assertThat(blocks(table)).containsExactly(0, 2);
    assertThat(blocks(other)).containsExactly(0, 1);
    assertThat(table.isWritable(5, pool)).isTrue();
    pool.checkInvariants(List.of(table, other));
    assertThatThrownBy(() -> table.unshare(5, pool))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("must be in a shared block: position=5");
    assertThat(table.unshare(0, pool)).isNull();
    assertThat(blocks(table)).containsExactly(0, 2);
    pool.checkInvariants(List.of(table, other));
  }

  @Test
  void leaksAndWrongSharingAreFound() {
    BlockPool pool = new BlockPool(4);
    BlockTable table = filled(4, 8, pool);
    assertThatThrownBy(() -> pool.checkInvariants(List.of()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("refCount must be the number of tables, 0, for refCount 1: 0");
    assertThatThrownBy(() -> pool.checkInvariants(List.of(table, table)))
        .hasMessage("refCount must be the number of tables, 2, for refCount 1: 0");
    pool.retain(1);
    assertThatThrownBy(() -> pool.checkInvariants(List.of(table)))
        .hasMessage("refCount must be the number of tables, 1, for refCount 2: 1");
  }

  @Test
  void sizesThatAreTooSmallAreRejected() {
    BlockPool pool = new BlockPool(1);
    assertThatThrownBy(() -> new BlockTable(0)).hasMessage("must be >= 1: blockTokens=0");
    assertThatThrownBy(() -> new BlockTable(1, -1)).hasMessage("must be >= 0: expectedBlocks=-1");
    assertThatThrownBy(() -> new BlockTable(1).ensureCapacity(-1, pool))
        .hasMessage("must be >= 0: numTokens=-1");
    assertThatThrownBy(() -> filled(1, 1, pool).copyTo(new int[1], 1))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("must hold 1 elements from 1: out.length=1");
  }

  @Test
  void aSequenceThatDecodesAndIsReleasedAllocatesNoMemory() {
    BlockPool pool = new BlockPool(64);
    BlockTable table = new BlockTable(16, 64);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long allocated = Long.MAX_VALUE;
    long slots = 0;
    for (int round = 0; round < 5 && allocated > 0; round++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int sequence = 0; sequence < 20; sequence++) {
        for (int token = 0; token < 1000; token++) {
          table.ensureCapacity(token + 1, pool);
          slots += table.slot(token);
        }
        table.truncate(500, pool);
        table.releaseAll(pool);
      }
      allocated = threads.getCurrentThreadAllocatedBytes() - before;
    }
    assertThat(allocated).isZero();
    assertThat(slots).isPositive();
    pool.checkInvariants(List.of(table));
  }
}
