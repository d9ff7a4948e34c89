package dev.fathom.jmh;

import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.StepBatch;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Program;
import java.util.Set;

/**
 * The sequences of a step, all alike.
 *
 * @param number sequences
 * @param tokens new tokens of each
 * @param contextLen tokens of each with the new ones, at least as many
 * @param rows wanted rows of each
 */
record Sequences(int number, int tokens, int contextLen, int rows) {

  /** Ids of tokens are below it. */
  static final int VOCAB = 256;

  private static final int BLOCK_TOKENS = 64;

  /** Most tokens that are sequences of their own; more are one sequence's prompt. */
  private static final int MOST_DECODED = 16;

  /** One sequence without a context. */
  static Sequences of(int tokens) {
    return new Sequences(1, tokens, tokens, 1);
  }

  /**
   * Up to {@value #MOST_DECODED} tokens each end a sequence of this length, as in decoding; more
   * are the end of one sequence, as in a chunk of a prompt.
   */
  static Sequences attending(int tokens, int contextLen) {
    return tokens <= MOST_DECODED
        ? new Sequences(tokens, 1, contextLen, 1)
        : new Sequences(1, tokens, Math.max(tokens, contextLen), 1);
  }

  /** Positions that all tokens together attend to. */
  long attended() {
    return number * ((long) tokens * (contextLen - tokens) + tokens * (tokens + 1L) / 2);
  }

  /** Positions that are in the cache. */
  long cached() {
    return (long) number * contextLen;
  }

  int numBlocks() {
    return number * blocksOfSequence();
  }

  private int blocksOfSequence() {
    return Math.ceilDiv(contextLen, BLOCK_TOKENS);
  }

  CompileOptions options(KvFormat kvFormat) {
    return new CompileOptions(
        number * tokens,
        number,
        number * rows,
        BLOCK_TOKENS,
        numBlocks(),
        blocksOfSequence(),
        kvFormat,
        LatentForm.AUTO,
        Set.of(Program.LOGITS));
  }

  /** Fills a batch with tokens from firstToken on; neighbouring blocks belong to others. */
  void fill(StepBatch batch, int numGroups, int firstToken) {
    batch.clear();
    int token = firstToken;
    for (int s = 0; s < number; s++) {
      batch.addSequence(StepBatch.NO_ADAPTER, rows);
      for (int block = s; block < numBlocks(); block += number) {
        for (int g = 0; g < numGroups; g++) {
          batch.addBlock(g, block);
        }
      }
      for (int t = 0; t < tokens; t++) {
        batch.addToken(token++ % VOCAB, contextLen - tokens + t);
      }
    }
  }
}
