package dev.fathom.engine;

import dev.fathom.kvcache.GroupPool;
import java.util.List;

/**
 * Capacities of an engine; they match those its executable was compiled with.
 *
 * @param contextTokens most tokens of a sequence
 * @param maxSequences most sequences of a step
 * @param chunkTokens most tokens of one sequence in a step
 * @param stepTokens most tokens of a step, at least maxSequences
 * @param maxRows most wanted rows of a step, at least maxSequences
 * @param pools KV blocks of each group; each pool holds at least one full context and a block more
 * @param maxQueued most requests that wait
 * @param vocabSize number of logits
 * @param scheduling how steps and blocks are shared out
 */
public record EngineOptions(
    int contextTokens,
    int maxSequences,
    int chunkTokens,
    int stepTokens,
    int maxRows,
    List<GroupPool> pools,
    int maxQueued,
    int vocabSize,
    SchedulingOptions scheduling) {

  /** Checks what the scheduler relies on. */
  public EngineOptions {
    atLeast("contextTokens", contextTokens, 1);
    atLeast("maxSequences", maxSequences, 1);
    atLeast("chunkTokens", chunkTokens, 1);
    atLeast("stepTokens", stepTokens, maxSequences);
    atLeast("maxRows", maxRows, maxSequences);
    pools = List.copyOf(pools);
    atLeast("pools.size", pools.size(), 1);
    for (GroupPool pool : pools) {
      atLeast("numBlocks", pool.numBlocks(), pool.mostBlocks(contextTokens, chunkTokens) + 1);
    }
    atLeast("maxQueued", maxQueued, 1);
    atLeast("vocabSize", vocabSize, 1);
  }

  /** Capacities of a model with one group that keeps everything. */
  public EngineOptions(
      int contextTokens,
      int maxSequences,
      int chunkTokens,
      int stepTokens,
      int maxRows,
      int blockTokens,
      int numBlocks,
      int maxQueued,
      int vocabSize) {
    this(
        contextTokens,
        maxSequences,
        chunkTokens,
        stepTokens,
        maxRows,
        List.of(new GroupPool(blockTokens, 0, numBlocks)),
        maxQueued,
        vocabSize,
        SchedulingOptions.DEFAULT);
  }

  private static void atLeast(String name, int value, int min) {
    if (value < min) {
      throw new IllegalArgumentException("must be >= " + min + ": " + name + "=" + value);
    }
  }

  /** Returns the same capacities scheduled in another way. */
  public EngineOptions with(SchedulingOptions other) {
    return new EngineOptions(
        contextTokens,
        maxSequences,
        chunkTokens,
        stepTokens,
        maxRows,
        pools,
        maxQueued,
        vocabSize,
        other);
  }
}
