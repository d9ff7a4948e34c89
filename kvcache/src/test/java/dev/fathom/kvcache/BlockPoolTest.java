package dev.fathom.kvcache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class BlockPoolTest {
  @Test
  void blocksComeInTheOrderInWhichTheyBecameFree() {
    BlockPool pool = new BlockPool(3);
    assertThat(List.of(pool.allocate(), pool.allocate(), pool.allocate())).containsExactly(0, 1, 2);
    assertThat(pool.allocate()).isEqualTo(BlockPool.NO_BLOCK);
    assertThat(pool.release(1)).isTrue();
    assertThat(pool.release(0)).isTrue();
    pool.checkInvariants();

    assertThat(List.of(pool.allocate(), pool.allocate())).containsExactly(1, 0);
    assertThat(pool.numFree()).isZero();
    assertThat(pool.numBlocks()).isEqualTo(3);
  }

  @Test
  void aSharedBlockIsFreedByItsLastHolder() {
    BlockPool pool = new BlockPool(2);
    int block = pool.allocate();
    pool.retain(block);
    assertThat(pool.refCount(block)).isEqualTo(2);

    assertThat(pool.release(block)).isFalse();
    assertThat(pool.numFree()).isEqualTo(1);
    assertThat(pool.release(block)).isTrue();
    assertThat(pool.numFree()).isEqualTo(2);
  }

  @Test
  void aDoubleFreeIsAnErrorAndChangesNothing() {
    BlockPool pool = new BlockPool(2);
    int block = pool.allocate();
    pool.release(block);

    assertThatThrownBy(() -> pool.release(block))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("must be used to release: block=0 refCount=0");
    assertThatThrownBy(() -> pool.retain(block))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("must be used to retain: block=0 refCount=0");
    assertThat(pool.numFree()).isEqualTo(2);
    pool.checkInvariants();
  }

  @Test
  void manyBlocksComeAllOrNotAtAll() {
    BlockPool pool = new BlockPool(4);
    int[] out = {-7, -7, -7, -7, -7};
    assertThat(pool.allocate(5, out, 0)).isEqualTo(BlockPool.NO_BLOCK);
    assertThat(out).containsOnly(-7);
    assertThat(pool.numFree()).isEqualTo(4);

    assertThat(pool.allocate(3, out, 1)).isEqualTo(3);
    assertThat(out).containsExactly(-7, 0, 1, 2, -7);
    assertThat(pool.allocate(0, out, 5)).isZero();
    assertThatThrownBy(() -> pool.allocate(1, out, 5))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("must hold 1 elements from 5: out.length=5");
    assertThatThrownBy(() -> pool.allocate(-1, out, 0)).hasMessage("must be >= 0: n=-1");
    assertThat(pool.numFree()).isEqualTo(1);
    pool.checkInvariants();
  }

  @Test
  void aFreeBlockCanBeReclaimedFromAnywhereInTheList() {
    for (int block = 0; block < 3; block++) {
      BlockPool pool = new BlockPool(3);
      pool.reclaim(block);
      pool.checkInvariants();
      assertThat(pool.refCount(block)).isEqualTo(1);
      assertThat(List.of(pool.allocate(), pool.allocate())).doesNotContain(block);
      int taken = block;
      assertThatThrownBy(() -> pool.reclaim(taken))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("must be free to reclaim: block=" + block + " refCount=1");
    }
  }

  @Test
  void idsAndSizesOutsideAreRejected() {
    BlockPool pool = new BlockPool(2);
    assertThatThrownBy(() -> pool.release(2))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("must be in [0, 2): block=2");
    assertThatThrownBy(() -> pool.retain(-1)).hasMessage("must be in [0, 2): block=-1");
    assertThatThrownBy(() -> pool.refCount(2)).hasMessage("must be in [0, 2): block=2");
    assertThatThrownBy(() -> pool.reclaim(2)).hasMessage("must be in [0, 2): block=2");
    assertThatThrownBy(() -> new BlockPool(0)).hasMessage("must be >= 1: numBlocks=0");
    assertThatThrownBy(() -> new BlockPool(Integer.MAX_VALUE))
        .hasMessage("must be <= 2147483646: numBlocks=2147483647");
  }

  @Test
  void randomOperationsEqualAModelOfListsAndMaps() {
    for (int seed = 0; seed < 300; seed++) {
      SplittableRandom random = new SplittableRandom(seed);
      new PoolAndModel(random.nextInt(1, 18), random).run(150);
    }
  }

  /** The pool under test, and what it should be: free ids in order, and counts of used ones. */
  private static final class PoolAndModel {
    private final BlockPool pool;
    private final List<Integer> free = new ArrayList<>();
    private final Map<Integer, Integer> refs = new HashMap<>();
    private final SplittableRandom random;

    PoolAndModel(int numBlocks, SplittableRandom random) {
      this.pool = new BlockPool(numBlocks);
      this.random = random;
      for (int i = 0; i < numBlocks; i++) {
        free.add(i);
      }
    }

    void run(int operations) {
      for (int i = 0; i < operations; i++) {
        int block = random.nextInt(pool.numBlocks());
        switch (random.nextInt(6)) {
          case 0 -> allocateOne();
          case 1 -> allocateSome(random.nextInt(pool.numBlocks() + 2));
          case 2 -> retain(block);
          case 3 -> reclaim(block);
          default -> release(block);
        }
        check();
      }
    }

    private void allocateOne() {
      int expected = free.isEmpty() ? BlockPool.NO_BLOCK : free.remove(0);
      assertThat(pool.allocate()).isEqualTo(expected);
      if (expected >= 0) {
        refs.put(expected, 1);
      }
    }

    private void allocateSome(int n) {
      int[] out = new int[n];
      if (n > free.size()) {
        assertThat(pool.allocate(n, out, 0)).isEqualTo(BlockPool.NO_BLOCK);
        return;
      }
      assertThat(pool.allocate(n, out, 0)).isEqualTo(n);
      for (int block : out) {
        assertThat(block).isEqualTo(free.remove(0));
        refs.put(block, 1);
      }
    }

    private void retain(int block) {
      if (refs.containsKey(block)) {
        pool.retain(block);
        refs.merge(block, 1, Integer::sum);
      } else {
        assertThatThrownBy(() -> pool.retain(block)).isInstanceOf(IllegalStateException.class);
      }
    }

    private void reclaim(int block) {
      if (free.remove((Integer) block)) {
        pool.reclaim(block);
        refs.put(block, 1);
      } else {
        assertThatThrownBy(() -> pool.reclaim(block)).isInstanceOf(IllegalStateException.class);
      }
    }

    private void release(int block) {
      if (!refs.containsKey(block)) {
        assertThatThrownBy(() -> pool.release(block)).isInstanceOf(IllegalStateException.class);
        return;
      }
      boolean last = refs.get(block) == 1;
      assertThat(pool.release(block)).isEqualTo(last);
      if (last) {
        refs.remove(block);
        free.add(block);
      } else {
        refs.merge(block, -1, Integer::sum);
      }
    }

    private void check() {
      pool.checkInvariants();
      assertThat(pool.numFree()).isEqualTo(free.size());
      for (int block = 0; block < pool.numBlocks(); block++) {
        assertThat(pool.refCount(block)).isEqualTo(refs.getOrDefault(block, 0));
      }
    }
  }

  @Test
  void brokenBookkeepingIsFound() {
    broken("a block in the free list must have refCount 0: 1", pool -> pool.refs[1] = 1);
    broken("numFree must be the blocks with refCount 0, 3: 2", pool -> pool.refs[0] = 0);
    broken("refCount must be >= 0: 0", pool -> pool.refs[0] = -1);
    broken("free list must run the same both ways: 1", pool -> pool.prev[2] = 3);
    broken(
        "numFree must be the length of the free list, 1: 2",
        pool -> {
          pool.next[1] = 3;
          pool.prev[3] = 1;
        });
    broken(
        "free list must hold blocks: -1",
        pool -> {
          pool.next[3] = -1;
        });
  }

  /** Breaks a pool of 3 blocks whose block 0 is used. */
  private static void broken(String message, Consumer<BlockPool> damage) {
    BlockPool pool = new BlockPool(3);
    pool.allocate();
    pool.checkInvariants();
    damage.accept(pool);
    assertThatThrownBy(pool::checkInvariants)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(message);
  }

  @Test
  void aMillionAllocationsAndReleasesAllocateNoMemoryAndLeakNoBlock() {
    BlockPool pool = new BlockPool(1000);
    int[] held = new int[16];
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long allocated = Long.MAX_VALUE;
    for (int round = 0; round < 4 && allocated > 0; round++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      churn(pool, held, 30_000);
      allocated = threads.getCurrentThreadAllocatedBytes() - before;
    }
    assertThat(allocated).isZero();
    assertThat(pool.numFree()).isEqualTo(1000);
    pool.checkInvariants();
  }

  private static void churn(BlockPool pool, int[] held, int rounds) {
    for (int i = 0; i < rounds; i++) {
      pool.allocate(held.length - 1, held, 0);
      held[held.length - 1] = pool.allocate();
      pool.retain(held[i % held.length]);
      pool.release(held[i % held.length]);
      for (int block : held) {
        pool.release(block);
      }
      int hit = i % pool.numBlocks();
      pool.reclaim(hit);
      pool.release(hit);
    }
  }
}
