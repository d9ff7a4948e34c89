package dev.fathom.backend;

/**
 * Results of sampling: struct of arrays with one entry for each wanted row, filled by a {@link
 * RowSampler} and read by the engine. Fixed capacities; reused by every step.
 */
public final class SampledRows {

  private final int maxTop;
  private final int[] token;
  private final float[] logprob;
  private final int[] numTop;
  private final int[] topToken;
  private final float[] topLogprob;

  /**
   * Creates room for results.
   *
   * @param maxRows most rows of a step
   * @param maxTop most alternatives of a row
   */
  public SampledRows(int maxRows, int maxTop) {
    this.maxTop = maxTop;
    this.token = new int[maxRows];
    this.logprob = new float[maxRows];
    this.numTop = new int[maxRows];
    this.topToken = new int[Math.multiplyExact(maxRows, maxTop)];
    this.topLogprob = new float[Math.multiplyExact(maxRows, maxTop)];
  }

  /** Sets the token of a row and its natural log-probability, and forgets its alternatives. */
  public void set(int row, int sampledToken, float sampledLogprob) {
    token[row] = sampledToken;
    logprob[row] = sampledLogprob;
    numTop[row] = 0;
  }

  /** Adds an alternative to a row, most probable first. */
  public void addTop(int row, int alternative, float alternativeLogprob) {
    int at = row * maxTop + numTop[row];
    if (numTop[row] == maxTop) {
      throw new IllegalArgumentException("must be <= " + maxTop + ": alternatives of row " + row);
    }
    topToken[at] = alternative;
    topLogprob[at] = alternativeLogprob;
    numTop[row]++;
  }

  /** Returns the most alternatives that a row can hold. */
  public int maxTop() {
    return maxTop;
  }

  /** Returns the sampled token id of a row. */
  public int token(int row) {
    return token[row];
  }

  /** Returns the natural log-probability of the sampled token. */
  public float logprob(int row) {
    return logprob[row];
  }

  /** Returns the number of alternatives of a row. */
  public int numTop(int row) {
    return numTop[row];
  }

  /** Returns the i-th most probable token of a row. */
  public int topToken(int row, int i) {
    return topToken[row * maxTop + i];
  }

  /** Returns the natural log-probability of the i-th most probable token of a row. */
  public float topLogprob(int row, int i) {
    return topLogprob[row * maxTop + i];
  }
}
