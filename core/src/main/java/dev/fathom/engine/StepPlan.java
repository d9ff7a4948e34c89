package dev.fathom.engine;

import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.kvcache.KvCache;
import org.jspecify.annotations.Nullable;

/**
 * What the scheduler decided for a step: sequences, how many tokens of each, block copies. Fixed
 * capacity, refilled for every step; allocates nothing.
 */
final class StepPlan implements KvCache.Copies {

  private final @Nullable Sequence[] sequence;
  private final int[] numTokens;
  private final int[] numDrafts;
  private final int[] row;
  private final int[] copies;
  private int size;
  private int numRows;
  private int totalTokens;
  private int totalDrafts;
  private int numCopies;

  StepPlan(int maxSequences, int numGroups) {
    this.sequence = new Sequence[maxSequences];
    this.numTokens = new int[maxSequences];
    this.numDrafts = new int[maxSequences];
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
    totalDrafts = 0;
    numCopies = 0;
  }

  void add(Sequence planned, int tokens) {
    add(planned, tokens, 0);
  }

  /** Adds a sequence with its next known tokens and, behind its last one, its first guesses. */
  void add(Sequence planned, int tokens, int drafts) {
    sequence[size] = planned;
    numTokens[size] = tokens;
    numDrafts[size] = drafts;
    boolean reachesEnd = planned.numComputed + tokens == planned.numTokens();
    row[size] = reachesEnd ? numRows : -1;
    numRows += reachesEnd ? 1 + drafts : 0;
    totalTokens += tokens + drafts;
    totalDrafts += drafts;
    size++;
  }

  /** Takes a sequence out again; returns its tokens and guesses, 0 where it was not planned. */
  int remove(Sequence planned) {
    int at = 0;
    while (at < size && sequence[at] != planned) {
      at++;
    }
    if (at == size) {
      return 0;
    }
    int tokens = numTokens[at] + numDrafts[at];
    int rows = row[at] >= 0 ? 1 + numDrafts[at] : 0;
    totalDrafts -= numDrafts[at];
    for (int i = at + 1; i < size; i++) {
      sequence[i - 1] = sequence[i];
      numTokens[i - 1] = numTokens[i];
      numDrafts[i - 1] = numDrafts[i];
      row[i - 1] = row[i] >= 0 ? row[i] - rows : row[i];
    }
    sequence[--size] = null;
    numRows -= rows;
    totalTokens -= tokens;
    return tokens;
  }

  @Override
  public void copy(int group, int source, int destination) {
    copies[3 * numCopies] = group;
    copies[3 * numCopies + 1] = source;
    copies[3 * numCopies + 2] = destination;
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

  /** Returns how many guesses follow the last known token of a sequence. */
  int numDrafts(int i) {
    return numDrafts[i];
  }

  /** Returns the tokens of the step, guesses included. */
  int totalTokens() {
    return totalTokens;
  }

  /** Returns the guesses of the step. */
  int totalDrafts() {
    return totalDrafts;
  }

  /**
   * Returns the row whose sample continues the sequence, or -1 where its prompt goes on. The rows
   * behind its guesses follow.
   */
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
      addSequence(batch, s, row[i] < 0 ? 0 : 1 + numDrafts[i]);
      for (int t = 0; t < numTokens[i]; t++) {
        batch.addToken(s.token(s.numComputed + t), s.numComputed + t);
      }
      if (row[i] >= 0) {
        rows.add(s.params, s.numTokens(), s.counts, s.mask, s.processors);
      }
      Drafts drafts = s.drafts;
      for (int j = 0; drafts != null && j < numDrafts[i]; j++) {
        batch.addToken(drafts.token(j), s.numTokens() + j);
        rows.add(s.params, s.numTokens() + j + 1L, s.counts, null, s.processors);
      }
    }
  }

  /** Starts a sequence of a step with its block tables. */
  static void addSequence(StepBatch batch, Sequence s, int wanted) {
    batch.addSequence(s.request.adapterSlot(), wanted);
    for (int g = 0; g < s.blocks.numGroups(); g++) {
      batch.addTable(g, s.blocks.table(g));
    }
  }
}
