package dev.fathom.kvcache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/**
 * Sequences that grow, fork, shrink and end at random over a memory whose every slot carries a tag.
 *
 * <p>A sequence writes to each of its slots a tag that no other write ever uses, and reads all its
 * slots after every operation. A wrong table, a missing copy, a block in use twice or a write to a
 * shared block shows at once as a foreign tag.
 */
class TaggedBlocksTest {
  @Test
  void everySequenceReadsWhatItWroteWhateverTheOthersDo() {
    int forks = 0;
    int refusals = 0;
    int unshared = 0;
    for (int seed = 0; seed < 600; seed++) {
      SplittableRandom random = new SplittableRandom(seed);
      Simulation simulation = new Simulation(random.nextInt(1, 5), random.nextInt(1, 17), random);
      for (int i = 0; i < 120; i++) {
        simulation.step();
        simulation.check(seed, i);
      }
      simulation.end();
      forks += simulation.forks;
      refusals += simulation.refusals;
      unshared += simulation.unshared;
    }
    assertThat(forks).isGreaterThan(1000);
    assertThat(refusals).isGreaterThan(1000);
    assertThat(unshared).isGreaterThan(50);
  }

  private static final class Sequence {
    final BlockTable table;
    final List<Long> tags = new ArrayList<>();

    Sequence(BlockTable table) {
      this.table = table;
    }
  }

  private static final class Simulation {
    final int blockTokens;
    final BlockPool pool;
    final long[] memory;
    final SplittableRandom random;
    final List<Sequence> sequences = new ArrayList<>();
    long nextTag = 1;
    int forks;
    int refusals;
    int unshared;

    Simulation(int blockTokens, int numBlocks, SplittableRandom random) {
      this.blockTokens = blockTokens;
      this.pool = new BlockPool(numBlocks);
      this.memory = new long[numBlocks * blockTokens];
      this.random = random;
    }

    void step() {
      if (sequences.isEmpty() || random.nextInt(12) == 0) {
        sequences.add(new Sequence(new BlockTable(blockTokens, random.nextInt(3))));
        return;
      }
      int index = random.nextInt(sequences.size());
      Sequence sequence = sequences.get(index);
      switch (random.nextInt(10)) {
        case 0 -> {
          sequence.table.releaseAll(pool);
          sequences.remove(index);
        }
        case 1, 2 -> fork(sequence);
        case 3, 4 -> truncate(sequence);
        case 5 -> lookAhead(sequence);
        default -> write(sequence, random.nextInt(1, 2 * blockTokens + 2));
      }
    }

    /** Claims room, makes it writable, writes: what an engine does for a step. */
    private void write(Sequence sequence, int count) {
      int from = sequence.tags.size();
      if (!sequence.table.ensureCapacity(from + count, pool)) {
        refusals++;
        return;
      }
      if (!sequence.table.isWritable(from, pool)) {
        BlockCopy copy = sequence.table.unshare(from, pool);
        if (copy == null) {
          refusals++;
          return;
        }
        unshared++;
        copy(copy);
      }
      for (int position = from; position < from + count; position++) {
        assertThat(sequence.table.isWritable(position, pool)).isTrue();
        memory[sequence.table.slot(position)] = nextTag;
        sequence.tags.add(nextTag++);
      }
    }

    private void lookAhead(Sequence sequence) {
      if (!sequence.table.ensureCapacity(sequence.tags.size() + random.nextInt(5), pool)) {
        refusals++;
      }
    }

    private void truncate(Sequence sequence) {
      int kept = random.nextInt(sequence.tags.size() + 1);
      sequence.table.truncate(kept, pool);
      sequence.tags.subList(kept, sequence.tags.size()).clear();
    }

    private void fork(Sequence sequence) {
      int kept = random.nextBoolean() ? sequence.tags.size() : sequence.tags.size() / 2;
      BlockTable.Fork fork = sequence.table.fork(kept, pool);
      if (fork == null) {
        refusals++;
        return;
      }
      forks++;
      if (fork.copy() != null) {
        copy(fork.copy());
      }
      Sequence child = new Sequence(fork.table());
      child.tags.addAll(sequence.tags.subList(0, kept));
      sequences.add(child);
    }

    private void copy(BlockCopy copy) {
      System.arraycopy(
          memory,
          copy.source() * blockTokens,
          memory,
          copy.destination() * blockTokens,
          blockTokens);
    }

    void check(int seed, int step) {
      pool.checkInvariants(sequences.stream().map(s -> s.table).toList());
      for (Sequence sequence : sequences) {
        long[] read = new long[sequence.tags.size()];
        for (int position = 0; position < read.length; position++) {
          read[position] = memory[sequence.table.slot(position)];
        }
        assertThat(read)
            .as("seed %d step %d", seed, step)
            .isEqualTo(sequence.tags.stream().mapToLong(Long::longValue).toArray());
      }
    }

    void end() {
      for (Sequence sequence : sequences) {
        sequence.table.releaseAll(pool);
      }
      Arrays.fill(memory, 0);
      assertThat(pool.numFree()).isEqualTo(pool.numBlocks());
      pool.checkInvariants(List.of());
    }
  }
}
