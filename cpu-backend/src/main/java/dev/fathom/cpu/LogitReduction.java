package dev.fathom.cpu;

import dev.fathom.backend.SamplingRows;
import dev.fathom.cpu.kernel.LogSumExp;

/**
 * What sampling wants to know of all logits of a row: the largest one and the log of the sum of
 * their exponentials. The threads share out pieces of {@link #PIECE} logits, whose sums are joined
 * in their order: the bits depend on the row alone.
 */
final class LogitReduction implements ThreadTeam.RangeWork {

  /** Logits of a piece. */
  private static final int PIECE = 1024;

  /** Work of a logit in multiplications: {@link Step#dispatch} counts those. */
  private static final int COST = 16;

  private final int vocabSize;
  private final int pieces;
  private final float[] largest;
  private final double[] sums;
  private final double[][] scratch;
  private float[] logits = {};

  LogitReduction(int vocabSize, int maxRows, int threads) {
    this.vocabSize = vocabSize;
    this.pieces = Math.ceilDiv(vocabSize, PIECE);
    this.largest = new float[pieces * maxRows];
    this.sums = new double[pieces * maxRows];
    this.scratch = new double[threads][LogSumExp.scratchLen()];
  }

  /** Tells the rows of a step that are finite what their logits, [row][V], come to. */
  void run(Step step, float[] logitsOfStep, SamplingRows rows) {
    int n = begin(logitsOfStep, rows);
    step.dispatch((long) COST * rows.numRows() * vocabSize, n, 1, this);
    finish(rows);
  }

  /** Returns how many pieces {@link #run(int, int, int)} has to go over. */
  int begin(float[] logitsOfStep, SamplingRows rows) {
    logits = logitsOfStep;
    return rows.numRows() * pieces;
  }

  void finish(SamplingRows rows) {
    for (int row = 0; row < rows.numRows(); row++) {
      join(row, rows);
    }
  }

  @Override
  public void run(int from, int to, int part) {
    for (int i = from; i < to; i++) {
      int first = i % pieces * PIECE;
      int n = Math.min(PIECE, vocabSize - first);
      int off = i / pieces * vocabSize + first;
      float most = LogSumExp.largest(logits, off, n);
      largest[i] = most;
      // Infinities and NaNs are left to the sampler.
      sums[i] = Float.isNaN(most) ? 0 : LogSumExp.sum(logits, off, n, most, scratch[part]);
    }
  }

  private void join(int row, SamplingRows rows) {
    int begin = row * pieces;
    int best = begin;
    for (int i = begin; i < begin + pieces; i++) {
      if (Float.isNaN(largest[i])) {
        return;
      }
      if (largest[i] > largest[best]) {
        best = i;
      }
    }
    float most = largest[best];
    double sum = 0;
    for (int i = begin; i < begin + pieces; i++) {
      sum += sums[i] * Math.exp((double) largest[i] - most);
    }
    int at = row * vocabSize;
    int token = (best - begin) * PIECE;
    while (logits[at + token] != most) {
      token++;
    }
    rows.setReduced(row, token, most + Math.log(sum));
  }
}
