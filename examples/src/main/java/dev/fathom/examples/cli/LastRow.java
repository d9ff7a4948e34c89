package dev.fathom.examples.cli;

import dev.fathom.LogitsConsumer;
import java.util.ArrayList;
import java.util.List;

/** Keeps the most probable tokens after the last position of a sequence. */
final class LastRow implements LogitsConsumer {

  /**
   * A token.
   *
   * @param id token id
   * @param logit raw
   * @param logprob natural logarithm of its probability
   */
  record Entry(int id, double logit, double logprob) {}

  private final int lastPosition;
  private final int count;
  private final List<Entry> top = new ArrayList<>();
  private int vocabSize;

  /**
   * Watches a sequence.
   *
   * @param numTokens its length
   * @param count how many tokens to keep
   */
  LastRow(int numTokens, int count) {
    this.lastPosition = numTokens - 1;
    this.count = count;
  }

  @Override
  public void accept(int position, float[] logits, int offset, int numLogits) {
    vocabSize = numLogits;
    if (position != lastPosition) {
      return;
    }
    double logSum = logSumExp(logits, offset, numLogits);
    for (int id = 0; id < numLogits; id++) {
      double logit = logits[offset + id];
      if (top.size() < count || logit > top.getLast().logit()) {
        insert(new Entry(id, logit, logit - logSum));
      }
    }
  }

  private void insert(Entry entry) {
    int at = top.size();
    while (at > 0 && top.get(at - 1).logit() < entry.logit()) {
      at--;
    }
    top.add(at, entry);
    if (top.size() > count) {
      top.removeLast();
    }
  }

  private static double logSumExp(float[] logits, int offset, int numLogits) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < numLogits; i++) {
      max = Math.max(max, logits[offset + i]);
    }
    double sum = 0;
    for (int i = 0; i < numLogits; i++) {
      sum += Math.exp(logits[offset + i] - max);
    }
    return max + Math.log(sum);
  }

  /** Returns the kept tokens, best first. */
  List<Entry> top() {
    return List.copyOf(top);
  }

  /** Returns the number of logits of a row. */
  int vocabSize() {
    return vocabSize;
  }
}
