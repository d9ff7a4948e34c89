package dev.fathom.backend;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Program;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Fixed capacities and choices of an executable.
 *
 * @param maxTokens most tokens of a step
 * @param maxSequences most sequences of a step
 * @param maxRows most wanted rows of a step
 * @param blockTokens tokens of a KV block; groups that compress have blocks of about as many, see
 *     {@link dev.fathom.kvcache.KvGroup#blockSpan}
 * @param numBlocks KV blocks of each group; a single number goes for all of them
 * @param maxBlocksPerSequence longest block table
 * @param kvFormat element format of the KV cache
 * @param latentForm how latent attention is computed
 * @param outputs outputs that {@link StepHandle#output} can give; logits are always computed
 */
public record CompileOptions(
    int maxTokens,
    int maxSequences,
    int maxRows,
    int blockTokens,
    List<Integer> numBlocks,
    int maxBlocksPerSequence,
    KvFormat kvFormat,
    LatentForm latentForm,
    Set<String> outputs) {

  /** Checks that every capacity is positive and copies the outputs. */
  public CompileOptions {
    positive("maxTokens", maxTokens);
    positive("maxSequences", maxSequences);
    positive("maxRows", maxRows);
    positive("blockTokens", blockTokens);
    numBlocks = List.copyOf(numBlocks);
    positive("numBlocks.size", numBlocks.size());
    numBlocks.forEach(blocks -> positive("numBlocks", blocks));
    positive("maxBlocksPerSequence", maxBlocksPerSequence);
    outputs = Set.copyOf(outputs);
  }

  /** Options with the same number of blocks in all groups. */
  public CompileOptions(
      int maxTokens,
      int maxSequences,
      int maxRows,
      int blockTokens,
      int numBlocks,
      int maxBlocksPerSequence,
      KvFormat kvFormat,
      LatentForm latentForm,
      Set<String> outputs) {
    this(
        maxTokens,
        maxSequences,
        maxRows,
        blockTokens,
        List.of(numBlocks),
        maxBlocksPerSequence,
        kvFormat,
        latentForm,
        outputs);
  }

  /** Returns the KV blocks of a group. */
  public int numBlocks(int group) {
    return numBlocks.get(numBlocks.size() == 1 ? 0 : group);
  }

  private static void positive(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException("must be >= 1: " + name + "=" + value);
    }
  }

  /** Returns the options of each program of several: where there are drafts, states are kept. */
  public CompileOptions forPrograms(int numPrograms) {
    if (numPrograms == 1) {
      return this;
    }
    Set<String> kept = new HashSet<>(outputs);
    kept.add(Program.STATE);
    return withOutputs(kept);
  }

  /** Returns these options with other outputs. */
  public CompileOptions withOutputs(Set<String> wanted) {
    return new CompileOptions(
        maxTokens,
        maxSequences,
        maxRows,
        blockTokens,
        numBlocks,
        maxBlocksPerSequence,
        kvFormat,
        latentForm,
        wanted);
  }
}
