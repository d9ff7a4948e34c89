package dev.fathom.kvcache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** The cache of one or several groups: what is found, what is kept, what is lost first. */
class KvCacheTest {

  private static final int[] NOTHING_SPARED = new int[4];
  private static final PrefixScope OTHER = new PrefixScope(7, 9, 0);

  private static KvCache cache(GroupPool... groups) {
    return new KvCache(List.of(groups), 42);
  }

  private static KvCache single(int blockTokens, int numBlocks) {
    return cache(new GroupPool(blockTokens, 0, numBlocks));
  }

  private static int[] tokens(int length, int first) {
    int[] ids = new int[length];
    Arrays.setAll(ids, i -> first + i);
    return ids;
  }

  private static void noCopies(int group, int source, int destination) {
    throw new IllegalStateException("no copy: block=" + source);
  }

  /** Computes a sequence in steps of some tokens, publishing after each. */
  private static SequenceBlocks compute(KvCache cache, PrefixScope scope, int[] ids, int step) {
    SequenceBlocks blocks = cache.newSequence(scope);
    cache.match(blocks, ids, ids.length);
    int computed = cache.attach(blocks);
    while (computed < ids.length) {
      int end = Math.min(ids.length, computed + step);
      assertThat(cache.extend(blocks, computed, end, KvCacheTest::noCopies)).isTrue();
      cache.publish(blocks, ids, end);
      computed = end;
    }
    return blocks;
  }

  private static int found(KvCache cache, PrefixScope scope, int[] ids) {
    return cache.match(cache.newSequence(scope), ids, ids.length);
  }

  @Test
  void whatWasComputedIsFoundInWholeBlocksAndOneTokenIsAlwaysComputed() {
    KvCache cache = single(4, 20);
    SequenceBlocks first = compute(cache, PrefixScope.SHARED, tokens(11, 0), 3);
    assertThat(found(cache, PrefixScope.SHARED, tokens(11, 0))).isEqualTo(8);
    assertThat(found(cache, PrefixScope.SHARED, tokens(8, 0))).isEqualTo(4);
    assertThat(found(cache, PrefixScope.SHARED, tokens(4, 0))).isZero();
    assertThat(found(cache, PrefixScope.SHARED, tokens(1, 0))).isZero();
    assertThat(found(cache, PrefixScope.SHARED, tokens(11, 1))).isZero();
    int[] other = tokens(11, 0);
    other[5] = 99;
    assertThat(found(cache, PrefixScope.SHARED, other)).isEqualTo(4);
    SequenceBlocks second = compute(cache, PrefixScope.SHARED, other, 3);
    assertThat(second.table(0).blockAt(0)).isEqualTo(first.table(0).blockAt(0));
    assertThat(second.table(0).blockAt(1)).isNotEqualTo(first.table(0).blockAt(1));
    cache.checkInvariants(List.of(first, second));
  }

  @Test
  void releasedBlocksStayFindableUntilTheyAreGivenOutTheEndOfASequenceFirst() {
    KvCache cache = single(2, 6);
    int[] ids = tokens(9, 0);
    SequenceBlocks first = compute(cache, PrefixScope.SHARED, ids, 9);
    cache.release(first);
    cache.release(first);
    assertThat(cache.numFree(0)).isEqualTo(6);
    assertThat(found(cache, PrefixScope.SHARED, ids)).isEqualTo(8);
    SequenceBlocks two = compute(cache, PrefixScope.SHARED, tokens(4, 50), 4);
    assertThat(found(cache, PrefixScope.SHARED, ids)).isEqualTo(8);
    SequenceBlocks third = compute(cache, PrefixScope.SHARED, tokens(2, 70), 2);
    assertThat(found(cache, PrefixScope.SHARED, ids)).isEqualTo(6);
    cache.checkInvariants(List.of(two, third));
    cache.forgetAll();
    assertThat(found(cache, PrefixScope.SHARED, ids)).isZero();
    cache.checkInvariants(List.of(two, third));
  }

  @Test
  void tenantsAndAdaptersShareNothing() {
    KvCache cache = single(2, 20);
    int[] ids = tokens(7, 0);
    SequenceBlocks mine = compute(cache, PrefixScope.SHARED, ids, 7);
    assertThat(found(cache, OTHER, ids)).isZero();
    assertThat(found(cache, new PrefixScope(0, 0, 1), ids)).isZero();
    SequenceBlocks theirs = compute(cache, OTHER, ids, 7);
    assertThat(found(cache, OTHER, ids)).isEqualTo(6);
    for (int i = 0; i < 4; i++) {
      assertThat(theirs.table(0).blockAt(i)).isNotEqualTo(mine.table(0).blockAt(i));
    }
    assertThat(found(cache, new PrefixScope(7, 0, 0), ids)).isZero();
    cache.checkInvariants(List.of(mine, theirs));
  }

  @Test
  void whatWasNotPublishedIsNotFound() {
    KvCache cache = single(2, 20);
    SequenceBlocks blocks = cache.newSequence(PrefixScope.SHARED);
    int[] ids = tokens(8, 0);
    cache.extend(blocks, 0, 8, KvCacheTest::noCopies);
    assertThat(found(cache, PrefixScope.SHARED, ids)).isZero();
    cache.publish(blocks, ids, 5);
    assertThat(found(cache, PrefixScope.SHARED, ids)).isEqualTo(4);
    cache.checkInvariants(List.of(blocks));
  }

  @Test
  void aWindowKeepsOnlyItsBlocksAndAHitNeedsOnlyThose() {
    GroupPool full = new GroupPool(4, 0, 40);
    GroupPool window = new GroupPool(4, 6, 12);
    KvCache cache = cache(full, window);
    int[] ids = tokens(41, 0);
    SequenceBlocks first = compute(cache, PrefixScope.SHARED, ids, 5);
    BlockTable table = first.table(1);
    assertThat(table.numBlocks() - table.numReleased()).isLessThanOrEqualTo(4);
    assertThat(window.mostBlocks(41, 5)).isEqualTo(4);
    assertThat(first.table(0).numReleased()).isZero();
    assertThat(table.blockAt(0)).isEqualTo(BlockPool.NO_BLOCK);
    assertThat(found(cache, PrefixScope.SHARED, ids)).isEqualTo(40);
    SequenceBlocks second = cache.newSequence(PrefixScope.SHARED);
    cache.match(second, ids, 41);
    assertThat(cache.attach(second)).isEqualTo(40);
    assertThat(second.table(1).numReleased()).isEqualTo(35 / 4);
    assertThat(second.table(1).blockAt(9)).isEqualTo(table.blockAt(9));
    cache.checkInvariants(List.of(first, second));
  }

  @Test
  void aHitEndsWhereAWindowIsStillThere() {
    GroupPool full = new GroupPool(2, 0, 40);
    GroupPool window = new GroupPool(2, 3, 5);
    KvCache cache = cache(full, window);
    int[] ids = tokens(17, 0);
    cache.release(compute(cache, PrefixScope.SHARED, ids, 2));
    assertThat(found(cache, PrefixScope.SHARED, ids)).isEqualTo(16);
    SequenceBlocks other = compute(cache, PrefixScope.SHARED, tokens(10, 90), 2);
    int shorter = found(cache, PrefixScope.SHARED, ids);
    assertThat(shorter).isLessThan(16);
    SequenceBlocks again = compute(cache, PrefixScope.SHARED, ids, 2);
    cache.checkInvariants(List.of(other, again));
  }

  @Test
  void aCompressedGroupSharesWholeUnitsOfAllGroups() {
    KvCache cache = cache(new GroupPool(4, 0, 40), new GroupPool(6, 0, 40));
    assertThat(cache.unitTokens()).isEqualTo(12);
    int[] ids = tokens(30, 0);
    SequenceBlocks first = compute(cache, PrefixScope.SHARED, ids, 7);
    assertThat(found(cache, PrefixScope.SHARED, ids)).isEqualTo(24);
    cache.checkInvariants(List.of(first));
  }

  @Test
  void aSharedPartlyFilledBlockIsCopiedByWhoWritesFirst() {
    KvCache cache = single(4, 10);
    int[] ids = tokens(6, 0);
    SequenceBlocks leader = compute(cache, PrefixScope.SHARED, ids, 6);
    SequenceBlocks follower = cache.newSequence(PrefixScope.SHARED);
    assertThat(cache.canShare(leader, 5)).isTrue();
    cache.share(leader, follower, 5);
    cache.checkInvariants(List.of(leader, follower));
    assertThat(cache.isWritable(follower, 0, 5)).isFalse();
    List<String> copies = new ArrayList<>();
    cache.extend(follower, 5, 6, (g, from, to) -> copies.add(g + ":" + from + ">" + to));
    assertThat(copies).hasSize(1);
    assertThat(cache.isWritable(follower, 0, 5)).isTrue();
    assertThat(cache.isWritable(leader, 0, 6 - 1)).isTrue();
    cache.extend(leader, 6, 7, KvCacheTest::noCopies);
    cache.checkInvariants(List.of(leader, follower));
  }

  @Test
  void aFindableBlockIsNotWrittenThoughNobodyElseHoldsIt() {
    KvCache cache = single(4, 10);
    int[] ids = tokens(8, 0);
    SequenceBlocks leader = compute(cache, PrefixScope.SHARED, ids, 8);
    SequenceBlocks follower = cache.newSequence(PrefixScope.SHARED);
    cache.share(leader, follower, 7);
    cache.release(leader);
    int[] copies = new int[1];
    cache.extend(follower, 7, 8, (g, from, to) -> copies[0]++);
    assertThat(copies[0]).isEqualTo(1);
    assertThat(found(cache, PrefixScope.SHARED, tokens(9, 0))).isEqualTo(8);
    cache.checkInvariants(List.of(follower));
  }

  @Test
  void extendingIsAllOrNothing() {
    KvCache cache = cache(new GroupPool(2, 0, 10), new GroupPool(4, 0, 2));
    SequenceBlocks blocks = cache.newSequence(PrefixScope.SHARED);
    assertThat(cache.extend(blocks, 0, 9, KvCacheTest::noCopies)).isFalse();
    assertThat(blocks.numBlocks()).isZero();
    assertThat(cache.extend(blocks, 0, 8, KvCacheTest::noCopies)).isTrue();
    assertThat(cache.extend(blocks, 8, 9, KvCacheTest::noCopies)).isFalse();
    cache.checkInvariants(List.of(blocks));
  }

  @Test
  void collisionsOfHashesFindNothingWrong() {
    for (int bits : new int[] {1, 2, 4, 64}) {
      GroupPool full = new GroupPool(2, 0, 30);
      KvCache cache = new KvCache(List.of(full, new GroupPool(2, 3, 30)), bits, bits);
      SplittableRandom random = new SplittableRandom(bits);
      List<SequenceBlocks> held = new ArrayList<>();
      for (int i = 0; i < 3000; i++) {
        int[] ids = random.ints(1 + random.nextInt(14), 0, 2).toArray();
        SequenceBlocks blocks =
            cache.newSequence(random.nextBoolean() ? PrefixScope.SHARED : OTHER);
        cache.match(blocks, ids, ids.length);
        if (!cache.fits(ids.length, ids.length, NOTHING_SPARED)) {
          held.forEach(cache::release);
          held.clear();
          continue;
        }
        int computed = cache.attach(blocks);
        assertThat(computed).isLessThan(ids.length);
        checkBlocks(cache, blocks, ids, computed);
        assertThat(cache.extend(blocks, computed, ids.length, KvCacheTest::noCopies)).isTrue();
        cache.publish(blocks, ids, ids.length);
        held.add(blocks);
        cache.checkInvariants(held);
      }
    }
  }

  /** The blocks of a hit are those of just this prefix: its node says so up to the root. */
  private static void checkBlocks(KvCache cache, SequenceBlocks blocks, int[] ids, int computed) {
    PrefixIndex index = cache.index();
    int node = blocks.node;
    int[] unit = new int[2];
    for (int at = computed - 2; at >= 0; at -= 2) {
      index.copyTokens(node, unit, 0);
      assertThat(unit).containsExactly(ids[at], ids[at + 1]);
      assertThat(index.block(node, 0, 0)).isEqualTo(blocks.table(0).blockAt(at / 2));
      assertThat(index.isOf(node, blocks.scope)).isTrue();
      node = index.parent(node);
    }
    assertThat(node).isEqualTo(PrefixIndex.NO_NODE);
  }

  @Test
  void aPoolWithoutRoomForAllNodesPublishesNoMore() {
    KvCache cache = cache(new GroupPool(1, 0, 6), new GroupPool(2, 0, 6));
    List<SequenceBlocks> held = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      SequenceBlocks blocks = compute(cache, PrefixScope.SHARED, tokens(4, 10 * i), 4);
      cache.checkInvariants(List.of(blocks));
      cache.release(blocks);
    }
    cache.checkInvariants(held);
  }

  @Test
  void sizesAreChecked() {
    assertThatThrownBy(() -> new GroupPool(0, 0, 1)).hasMessage("must be >= 1: blockTokens=0");
    assertThatThrownBy(() -> new GroupPool(1, -1, 1)).hasMessage("must be >= 0: windowTokens=-1");
    assertThatThrownBy(() -> new GroupPool(1, 0, 0)).hasMessage("must be >= 1: numBlocks=0");
    assertThatThrownBy(() -> new KvCache(List.of(), 1)).hasMessage("must be >= 1: groups.size=0");
    assertThatThrownBy(() -> new KvCache(List.of(new GroupPool(1, 0, 1)), 1, 65))
        .hasMessage("must be <= 64: hashBits=65");
  }

  @Test
  void theSteadyStateAllocatesNoMemory() {
    KvCache cache = cache(new GroupPool(16, 0, 400), new GroupPool(16, 40, 400));
    int[][] ids = new int[8][];
    SequenceBlocks[] all = new SequenceBlocks[ids.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = tokens(600, i % 3 * 1000);
      all[i] = cache.newSequence(PrefixScope.SHARED);
    }
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long allocated = Long.MAX_VALUE;
    long cached = 0;
    for (int round = 0; round < 60 && allocated > 0; round++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < all.length; i++) {
        cached += decode(cache, all[i], ids[i]);
      }
      allocated = threads.getCurrentThreadAllocatedBytes() - before;
    }
    assertThat(allocated).isZero();
    assertThat(cached).isPositive();
    cache.checkInvariants(List.of());
  }

  private static int decode(KvCache cache, SequenceBlocks blocks, int[] ids) {
    cache.match(blocks, ids, 300);
    int found = cache.attach(blocks);
    for (int at = found; at < ids.length; at++) {
      if (!cache.extend(blocks, at, at + 1, KvCacheTest::noCopies)) {
        throw new IllegalStateException("must fit: position=" + at);
      }
      cache.publish(blocks, ids, at + 1);
    }
    cache.release(blocks);
    return found;
  }
}
