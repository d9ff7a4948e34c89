package dev.fathom.backend;

/**
 * Changes the logits of one row, after bias and penalties, before the mask. Never throws: who made
 * it learns from it whether it failed.
 */
@FunctionalInterface
public interface RowProcessor {

  /** Changes {@code logits[offset, offset + vocabSize)}. */
  void process(float[] logits, int offset, int vocabSize);
}
