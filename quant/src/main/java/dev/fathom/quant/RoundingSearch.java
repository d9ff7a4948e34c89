package dev.fathom.quant;

/**
 * A search for integers that are better than the nearest ones: the errors of a row's columns are
 * made to cancel on the activations that the row meets.
 *
 * <p>With G = the samples' products summed, a row with errors e = w - decoded loses {@code e^T G
 * e}. Starting from the nearest codes, each column in turn takes the neighbouring code that lowers
 * the loss, until no column changes or {@link #PASSES} passes are over; so the loss is never above
 * that of rounding to nearest. {@link #DAMPING} of the mean of G's diagonal is added to the
 * diagonal, so that errors stay small in directions that no sample has.
 *
 * <p>This is coordinate descent on the layer-wise objective of Frantar et al., "GPTQ", section 3.
 * Cost: rows · cols for a pass and cols for each change. Immutable; safe for several threads.
 */
public final class RoundingSearch {
  /** Most passes over a row. */
  public static final int PASSES = 12;

  /** What is added to the diagonal, as a share of its mean. */
  public static final double DAMPING = 0.01;

  private final float[] gram;
  private final int cols;

  /**
   * Prepares a search.
   *
   * @param samples [n, cols] activations, row-major, n at least 1
   * @throws IllegalArgumentException if the samples are no whole rows or not finite
   */
  public RoundingSearch(float[] samples, int cols) {
    Checks.atLeast(1, "cols", cols);
    Checks.atLeast(cols, "samples.length", samples.length);
    Checks.multiple(cols, "samples.length", samples.length);
    Checks.finite("samples", samples);
    this.cols = cols;
    this.gram = ErrorLoss.gram(samples, cols);
    double trace = 0;
    for (int i = 0; i < cols; i++) {
      trace += gram[i * cols + i];
      for (int j = 0; j < i; j++) {
        gram[j * cols + i] = gram[i * cols + j];
      }
    }
    float damping = (float) (DAMPING * trace / cols);
    for (int i = 0; i < cols; i++) {
      gram[i * cols + i] += damping;
    }
  }

  /** What this search makes small, for a clipping search on the same samples. */
  public ErrorLoss loss() {
    return ErrorLoss.quadratic(gram, cols);
  }

  /**
   * Improves the codes of a row.
   *
   * @param row the exact weights
   * @param codes changed in place, each in [0, last]
   * @param scale of each column
   * @param zero zero point of each column
   * @param scratch at least 2 · cols elements
   */
  void improve(float[] row, int[] codes, float[] scale, int[] zero, int last, double[] scratch) {
    for (int c = 0; c < cols; c++) {
      scratch[c] = row[c] - (double) (codes[c] - zero[c]) * scale[c];
    }
    for (int c = 0; c < cols; c++) {
      double sum = 0;
      for (int j = 0; j < cols; j++) {
        sum += gram[c * cols + j] * scratch[j];
      }
      scratch[cols + c] = sum;
    }
    boolean changed = true;
    for (int pass = 0; changed && pass < PASSES; pass++) {
      changed = false;
      for (int c = 0; c < cols; c++) {
        changed |= step(c, codes, scale[c], last, scratch);
      }
    }
  }

  /** Moves the code of a column by one where that lowers the loss. */
  private boolean step(int c, int[] codes, float scale, int last, double[] scratch) {
    double slope = 2 * scratch[cols + c];
    double curve = gram[c * cols + c];
    // One code more lowers the error by the scale, and the loss by slope * scale - curve * scale^2.
    int move = slope > 0 ? 1 : -1;
    double gain = Math.abs(slope) * scale - curve * scale * scale;
    int code = codes[c] + move;
    if (!(gain > 1e-9 * curve * scale * scale) || code < 0 || code > last) {
      return false;
    }
    codes[c] = code;
    double delta = -move * (double) scale;
    int at = c * cols;
    for (int j = 0; j < cols; j++) {
      scratch[cols + j] += delta * gram[at + j];
    }
    return true;
  }
}
