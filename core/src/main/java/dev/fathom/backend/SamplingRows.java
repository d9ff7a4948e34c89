package dev.fathom.backend;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Sampling parameters of each wanted row of a step, in the order of {@link StepBatch}'s rows. Fixed
 * capacity, refilled for every step; holds references, allocates nothing.
 */
public final class SamplingRows {

  private static final int NOT_REDUCED = -1;

  private final SamplingParams[] params;
  private final long[] position;
  private final @Nullable TokenCounts[] counts;
  private final long[] @Nullable [] mask;
  private final @Nullable RowProcessor[] processor;

  // The largest logit of a row, or NOT_REDUCED.
  private final int[] best;
  private final double[] logSum;
  private int numRows;

  /** Creates room for the rows of a step. */
  public SamplingRows(int maxRows) {
    this.params = new SamplingParams[maxRows];
    this.position = new long[maxRows];
    this.counts = new TokenCounts[maxRows];
    this.mask = new long[maxRows][];
    this.processor = new RowProcessor[maxRows];
    this.best = new int[maxRows];
    this.logSum = new double[maxRows];
  }

  /** Forgets all rows. */
  public void clear() {
    Arrays.fill(counts, 0, numRows, null);
    Arrays.fill(mask, 0, numRows, null);
    Arrays.fill(processor, 0, numRows, null);
    numRows = 0;
  }

  /**
   * Adds a row.
   *
   * @param rowParams how it is sampled
   * @param rowPosition position of the token that will be sampled; with the seed it determines the
   *     random number
   * @param rowCounts tokens seen so far, or null where no penalty is on
   * @param rowMask allowed tokens, bit i of word i / 64, or null where all are
   * @return its index
   */
  public int add(
      SamplingParams rowParams,
      long rowPosition,
      @Nullable TokenCounts rowCounts,
      long @Nullable [] rowMask) {
    return add(rowParams, rowPosition, rowCounts, rowMask, null);
  }

  /**
   * Adds a row whose logits are processed.
   *
   * @param rowProcessor changes its logits, or null
   * @return its index
   */
  public int add(
      SamplingParams rowParams,
      long rowPosition,
      @Nullable TokenCounts rowCounts,
      long @Nullable [] rowMask,
      @Nullable RowProcessor rowProcessor) {
    int row = numRows++;
    params[row] = rowParams;
    position[row] = rowPosition;
    counts[row] = rowCounts;
    mask[row] = rowMask;
    processor[row] = rowProcessor;
    best[row] = NOT_REDUCED;
    return row;
  }

  /**
   * Notes what a backend found out about the logits of a row, all of which are finite, before they
   * are sampled; the sampler then need not look at each of them.
   *
   * @param token the lowest id of those with the largest logit
   * @param logSumExp natural log of the sum of exp of all logits
   */
  public void setReduced(int row, int token, double logSumExp) {
    best[row] = token;
    logSum[row] = logSumExp;
  }

  /** Returns whether the backend called {@link #setReduced} for a row of this step. */
  public boolean isReduced(int row) {
    return best[row] != NOT_REDUCED;
  }

  /** Returns the token of {@link #setReduced}. */
  public int best(int row) {
    return best[row];
  }

  /** Returns the log of the sum of exp of {@link #setReduced}. */
  public double logSumExp(int row) {
    return logSum[row];
  }

  /** Sets the allowed tokens of a row, or null where all are. */
  public void setMask(int row, long @Nullable [] rowMask) {
    mask[row] = rowMask;
  }

  /** Adds a row that takes the most probable token. */
  public int addGreedy() {
    return add(SamplingParams.GREEDY, 0, null, null);
  }

  /** Returns the number of rows. */
  public int numRows() {
    return numRows;
  }

  /** Returns how a row is sampled. */
  public SamplingParams params(int row) {
    return params[row];
  }

  /** Returns the position of the token that the row samples. */
  public long position(int row) {
    return position[row];
  }

  /** Returns the tokens seen so far, or null. */
  public @Nullable TokenCounts counts(int row) {
    return counts[row];
  }

  /** Returns the allowed tokens as a bit set, or null. */
  public long @Nullable [] mask(int row) {
    return mask[row];
  }

  /** Returns what changes the row's logits, or null. */
  public @Nullable RowProcessor processor(int row) {
    return processor[row];
  }
}
