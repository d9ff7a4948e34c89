package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.Executable;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.reference.ReferenceProvider;
import dev.fathom.kvcache.GroupPool;
import dev.fathom.kvcache.KvCache;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvGroup;
import dev.fathom.kvcache.KvGroups;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.kvcache.SequenceBlocks;
import dev.fathom.program.Program;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;

/** A long sequence of a tiny DeepSeek-V4 in no more memory than its windows and entries need. */
class V4MemoryTest {

  private static final int LENGTH = 4000;
  private static final int CHUNK = 100;
  private static final int BLOCK = 16;

  @Test
  void aSequenceOf4000TokensKeepsOnlyWhatItsWindowsAndCompressorsNeed(TestReporter reporter) {
    Golden golden = Golden.of("v4");
    List<KvGroup> groups = KvGroups.of(golden.model().program().kvSpecs());
    List<GroupPool> least = groups.stream().map(V4MemoryTest::least).toList();
    List<GroupPool> whole =
        groups.stream()
            .map(group -> new GroupPool(group.blockSpan(BLOCK), 0, 1))
            .map(pool -> pool.withBlocks(pool.blocks(LENGTH)))
            .toList();
    long leastBytes = bytes(groups, least);
    long wholeBytes = bytes(groups, whole);
    reporter.publishEntry("bytes kept " + leastBytes + ", of a table for all tokens " + wholeBytes);

    assertThat(least.stream().anyMatch(GroupPool::isWindowed)).isTrue();
    for (int g = 0; g < groups.size(); g++) {
      GroupPool pool = least.get(g);
      long tokens = (long) pool.numBlocks() * pool.blockTokens();
      long needed = pool.isWindowed() ? pool.windowTokens() + CHUNK : LENGTH;
      assertThat(tokens).as("group %d", g).isLessThan(needed + 2L * pool.blockTokens());
      assertThat(groups.get(g).slots((int) tokens))
          .isLessThan((int) needed / groups.get(g).tokensPerSlot() + 2 * BLOCK + 1);
    }
    assertThat(leastBytes).isLessThan(wholeBytes / 3);
    assertThat(run(golden, least)).isEqualTo(run(golden, whole));
  }

  private static GroupPool least(KvGroup group) {
    GroupPool pool = new GroupPool(group.blockSpan(BLOCK), group.windowTokens(), 1);
    return pool.withBlocks(pool.mostBlocks(LENGTH, CHUNK));
  }

  private static long bytes(List<KvGroup> groups, List<GroupPool> pools) {
    long bytes = 0;
    for (int g = 0; g < groups.size(); g++) {
      bytes += groups.get(g).blockBytes(KvFormat.F32, BLOCK) * pools.get(g).numBlocks();
    }
    return bytes;
  }

  /** Returns the logits of the last token of each chunk. */
  private static float[] run(Golden golden, List<GroupPool> pools) {
    Program program = golden.model().program();
    int vocab = program.vocabSize();
    int[] tokens = new int[LENGTH];
    Arrays.setAll(tokens, i -> (i * 31 + i / 7) % vocab);
    int blocks = Math.ceilDiv(LENGTH, BLOCK);
    Capacities capacities =
        new Capacities()
            .maxTokens(CHUNK)
            .blocks(BLOCK, 1, blocks)
            .pools(pools.stream().map(GroupPool::numBlocks).toList());
    float[] logits = new float[LENGTH / CHUNK * vocab];
    KvCache cache = new KvCache(pools, 1);
    SequenceBlocks table = cache.newSequence(PrefixScope.SHARED);
    try (Rig rig = new Rig(new ReferenceProvider(), program, golden.model(), capacities)) {
      Executable executable = rig.executable();
      StepBatch batch = executable.newBatch();
      SamplingRows rows = new SamplingRows(CHUNK);
      for (int from = 0; from < LENGTH; from += CHUNK) {
        assertThat(cache.extend(table, from, from + CHUNK, (g, a, b) -> {})).isTrue();
        batch.clear();
        rows.clear();
        batch.addSequence(StepBatch.NO_ADAPTER, 1);
        for (int g = 0; g < pools.size(); g++) {
          batch.addTable(g, table.table(g));
        }
        for (int t = from; t < from + CHUNK; t++) {
          batch.addToken(tokens[t], t);
        }
        rows.addGreedy();
        StepHandle handle = executable.submit(batch, rows, V4MemoryTest::nothing);
        handle.await();
        float[] row = handle.output(Program.LOGITS).data();
        System.arraycopy(row, 0, logits, from / CHUNK * vocab, vocab);
      }
    }
    cache.checkInvariants(List.of(table));
    return logits;
  }

  private static void nothing(
      SamplingRows rows, int row, float[] logits, int offset, int vocab, SampledRows out) {
    out.set(row, 0, 0);
  }
}
