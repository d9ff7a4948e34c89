package dev.fathom.backend;

/**
 * Chooses a token from the logits of a row. The engine passes the host's implementation; a backend
 * that samples on the device gives the same token for the same seed where it says so.
 */
@FunctionalInterface
public interface RowSampler {

  /**
   * Samples one row, after those before it in the step, and writes token, log-probability and
   * alternatives to {@code out}.
   *
   * @param rows parameters of every row
   * @param row index of the row
   * @param logits float32 logits, changed by the call unless {@link #changes} says otherwise
   * @param offset first logit of the row
   * @param vocabSize number of logits
   * @param out where the result goes, at the same row
   */
  void sample(
      SamplingRows rows, int row, float[] logits, int offset, int vocabSize, SampledRows out);

  /**
   * Returns whether sampling may change the logits of a row that {@link SamplingRows#isReduced}; a
   * backend keeps a copy of those that the step puts out.
   */
  default boolean changes(SamplingRows rows, int row) {
    return true;
  }
}
