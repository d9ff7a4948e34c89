package dev.fathom.engine;

import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.kvcache.BlockCopy;
import dev.fathom.kvcache.BlockTable;
import org.jspecify.annotations.Nullable;

/**
 * What the scheduler decided for a step: sequences, how many tokens of each, block copies. Fixed
 * capacity, refilled for every step; allocates nothing.
 */
final class StepPlan {

  private final @Nullable Sequence[] sequence;
  private final int[] numTokens;
  private final int[] row;
  private final int[] copies;
  private int size;
  private int numRows;
  private int totalTokens;
  private int numCopies;

  StepPlan(int maxSequences, int numGroups) {
    this.sequence = new Sequence[maxSequences];
    this.numTokens = new int[maxSequences];
    this.row = new int[maxSequences];
    this.copies = new int[3 * maxSequences * numGroups];
  }

  void clear() {
    for (int i = 0; i < size; i++) {
      sequence[i] = null;
    }
    size = 0;
    numRows = 0;
    totalTokens = 0;
    numCopies = 0;
  }

  void add(Sequence planned, int tokens) {
    sequence[size] = planned;
    numTokens[size] = tokens;
    boolean reachesEnd = planned.numComputed + tokens == planned.numTokens();
    row[size] = reachesEnd && !planned.isPrefix ? numRows++ : -1;
    totalTokens += tokens;
    size++;
  }

  void addCopy(int group, BlockCopy copy) {
    copies[3 * numCopies] = group;
    copies[3 * numCopies + 1] = copy.source();
    copies[3 * numCopies + 2] = copy.destination();
    numCopies++;
  }

  /** Returns the number of sequences. */
  int size() {
    return size;
  }

  Sequence sequence(int i) {
    Sequence planned = sequence[i];
    if (planned == null) {
      throw new IndexOutOfBoundsException("must be < " + size + ": i=" + i);
    }
    return planned;
  }

  int numTokens(int i) {
    return numTokens[i];
  }

  int totalTokens() {
    return totalTokens;
  }

  /** Returns the row whose sample continues the sequence, or -1 where its prompt goes on. */
  int row(int i) {
    return row[i];
  }

  /** Writes the plan into the buffers of a step. */
  void fill(StepBatch batch, SamplingRows rows) {
    batch.clear();
    rows.clear();
    for (int c = 0; c < numCopies; c++) {
      batch.addCopy(copies[3 * c], copies[3 * c + 1], copies[3 * c + 2]);
    }
    for (int i = 0; i < size; i++) {
      Sequence s = sequence(i);
      batch.addSequence(s.request.adapterSlot(), row[i] < 0 ? 0 : 1);
      for (int g = 0; g < s.tables.length; g++) {
        addBlocks(batch, g, s.tables[g]);
      }
      for (int t = 0; t < numTokens[i]; t++) {
        batch.addToken(s.token(s.numComputed + t), s.numComputed + t);
      }
      if (row[i] >= 0) {
        rows.add(s.params, s.numTokens(), s.counts, s.mask, s.processors);
      }
    }
  }

  private static void addBlocks(StepBatch batch, int group, BlockTable table) {
    for (int i = 0; i < table.numBlocks(); i++) {
      batch.addBlock(group, table.blockAt(i));
    }
  }
}
