package dev.fathom.engine;

/**
 * Capacities of an engine; they match those its executable was compiled with.
 *
 * @param contextTokens most tokens of a sequence
 * @param maxSequences most sequences of a step
 * @param chunkTokens most tokens of one sequence in a step
 * @param stepTokens most tokens of a step, at least maxSequences
 * @param maxRows most wanted rows of a step, at least maxSequences
 * @param blockTokens tokens of a KV block
 * @param numBlocks KV blocks of each group
 * @param maxQueued most requests that wait
 * @param vocabSize number of logits
 */
public record EngineOptions(
    int contextTokens,
    int maxSequences,
    int chunkTokens,
    int stepTokens,
    int maxRows,
    int blockTokens,
    int numBlocks,
    int maxQueued,
    int vocabSize) {

  /** Checks what the scheduler relies on. */
  public EngineOptions {
    atLeast("contextTokens", contextTokens, 1);
    atLeast("maxSequences", maxSequences, 1);
    atLeast("chunkTokens", chunkTokens, 1);
    atLeast("stepTokens", stepTokens, maxSequences);
    atLeast("maxRows", maxRows, maxSequences);
    atLeast("blockTokens", blockTokens, 1);
    atLeast("numBlocks", numBlocks, Math.ceilDiv(contextTokens, blockTokens) + 1);
    atLeast("maxQueued", maxQueued, 1);
    atLeast("vocabSize", vocabSize, 1);
  }

  private static void atLeast(String name, int value, int min) {
    if (value < min) {
      throw new IllegalArgumentException("must be >= " + min + ": " + name + "=" + value);
    }
  }

  /** Returns the blocks of a full context. */
  public int blocksPerSequence() {
    return Math.ceilDiv(contextTokens, blockTokens);
  }
}
