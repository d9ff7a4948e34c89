package dev.fathom.quant;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The search of activation-aware weight quantization: protect the input channels with large
 * activations by scaling their weights up before rounding.
 *
 * <p>A channel with mean magnitude m gets the factor {@code m^alpha}, at least 1e-4, and all
 * factors are divided by {@code sqrt(largest · smallest)}. Of alpha = 0, 1/20, ..., 1 the one with
 * the smallest
 *
 * <pre>
 *   sum over samples x and rows w of  ((w - Q(w · s) / s) · x)^2
 * </pre>
 *
 * <p>is taken, the smallest alpha of equal ones, where Q rounds to the grid of the recipe. alpha =
 * 0 is plain rounding, so the result is never worse on the samples. Linears that read the same
 * input share their factors and are searched together. A {@link ClipSearch} on the scaled weights
 * with {@code ErrorLoss.outputs(scales.unscale(samples), cols)} completes the method.
 *
 * <p>Source: Lin et al., "AWQ: Activation-aware Weight Quantization", section 3.2. Cost: 21 · rows
 * · cols · min(n, cols) multiplications, where of more than {@link #MOST_ROWS} rows in all only so
 * many are judged, evenly spaced over each weight. Threads: stateless; one call uses a few rows of
 * scratch.
 */
public final class AwqSearch {
  /** Steps of the exponent between 0 and 1. */
  public static final int STEPS = 20;

  /** Most rows of the weights of one input that are judged together. */
  public static final int MOST_ROWS = 8192;

  private static final double SMALLEST_FACTOR = 1e-4;

  private AwqSearch() {}

  /**
   * A weight that reads the searched input.
   *
   * @param reader its rows, each as long as the input
   * @param rows how many
   * @param loss of its outputs, or null for that of all samples of the search; an expert sees only
   *     the tokens that are sent to it
   */
  public record Linear(RowReader reader, int rows, @Nullable ErrorLoss loss) {
    /**
     * Checks the number of rows.
     *
     * @throws IllegalArgumentException if it is below 1
     */
    public Linear {
      Checks.atLeast(1, "rows", rows);
    }

    /** A weight that sees every sample. */
    public Linear(RowReader reader, int rows) {
      this(reader, rows, null);
    }
  }

  /**
   * Mean magnitude of each channel.
   *
   * @param samples [n, cols] activations, row-major, n at least 1
   * @throws IllegalArgumentException if the samples are no whole rows or not finite
   */
  public static float[] meanMagnitude(float[] samples, int cols) {
    checkSamples(samples, cols);
    int n = samples.length / cols;
    double[] sums = new double[cols];
    for (int i = 0; i < samples.length; i++) {
      sums[i % cols] += Math.abs(samples[i]);
    }
    float[] means = new float[cols];
    for (int c = 0; c < cols; c++) {
      means[c] = (float) (sums[c] / n);
    }
    return means;
  }

  /**
   * The factors of one exponent.
   *
   * @param meanMagnitude mean |x| of each input channel, at least 0
   * @throws IllegalArgumentException if there is no channel, or a mean is negative or not finite
   */
  public static float[] factors(float[] meanMagnitude, double exponent) {
    Checks.atLeast(1, "meanMagnitude.length", meanMagnitude.length);
    Checks.finite("meanMagnitude", meanMagnitude);
    double[] powers = new double[meanMagnitude.length];
    double largest = 0;
    double smallest = Double.POSITIVE_INFINITY;
    for (int c = 0; c < powers.length; c++) {
      if (meanMagnitude[c] < 0) {
        throw new IllegalArgumentException(
            "must be >= 0: meanMagnitude[" + c + "]=" + meanMagnitude[c]);
      }
      powers[c] = Math.max(Math.pow(meanMagnitude[c], exponent), SMALLEST_FACTOR);
      largest = Math.max(largest, powers[c]);
      smallest = Math.min(smallest, powers[c]);
    }
    double norm = Math.sqrt(largest) * Math.sqrt(smallest);
    float[] factors = new float[powers.length];
    for (int c = 0; c < factors.length; c++) {
      factors[c] = (float) (powers[c] / norm);
    }
    return factors;
  }

  /**
   * Searches the exponent.
   *
   * @param linears the weights that read this input; each judged row is read once
   * @param meanMagnitude mean |x| of each input channel, over as many tokens as one has
   * @param samples [n, cols] activations for the loss, row-major
   * @param recipe the integers that the weights will become
   * @throws IllegalArgumentException if there is no linear or no sample, a length is wrong, or a
   *     number is not finite
   */
  public static AwqScales search(
      List<Linear> linears, float[] meanMagnitude, float[] samples, Int4Recipe recipe) {
    int cols = meanMagnitude.length;
    Checks.atLeast(1, "linears.size", linears.size());
    float[][] factors = new float[STEPS + 1][];
    for (int i = 0; i <= STEPS; i++) {
      factors[i] = factors(meanMagnitude, (double) i / STEPS);
    }
    checkSamples(samples, cols);
    double[] losses = new double[STEPS + 1];
    ErrorLoss outputs = ErrorLoss.outputs(samples, cols);
    int rows = linears.stream().mapToInt(Linear::rows).sum();
    int step = Math.ceilDiv(rows, MOST_ROWS);
    for (Linear linear : linears) {
      addLosses(
          linear, step, factors, linear.loss() == null ? outputs : linear.loss(), recipe, losses);
    }
    int best = 0;
    for (int i = 1; i <= STEPS; i++) {
      best = losses[i] < losses[best] ? i : best;
    }
    return new AwqScales((float) best / STEPS, factors[best], losses[best], losses[0]);
  }

  private static void checkSamples(float[] samples, int cols) {
    Checks.atLeast(1, "cols", cols);
    Checks.atLeast(cols, "samples.length", samples.length);
    Checks.multiple(cols, "samples.length", samples.length);
    Checks.finite("samples", samples);
  }

  private static void addLosses(
      Linear linear,
      int step,
      float[][] factors,
      ErrorLoss outputs,
      Int4Recipe recipe,
      double[] losses) {
    int cols = factors[0].length;
    IntegerGrid grid = recipe.grid();
    float[] row = new float[cols];
    float[] scaled = new float[cols];
    float[] error = new float[cols];
    for (int r = 0; r < linear.rows(); r += step) {
      linear.reader().read(r, row, 0);
      Checks.finiteRow(row, 0, cols, r);
      for (int i = 0; i < factors.length; i++) {
        roundingErrors(row, factors[i], recipe.groupSize(), grid, scaled, error);
        losses[i] += outputs.of(error, 0, cols);
      }
    }
  }

  /** Writes w - Q(w · s) / s of a row to {@code error}; {@code scaled} is scratch. */
  private static void roundingErrors(
      float[] row,
      float[] factors,
      int groupSize,
      IntegerGrid grid,
      float[] scaled,
      float[] error) {
    int cols = row.length;
    for (int c = 0; c < cols; c++) {
      scaled[c] = row[c] * factors[c];
    }
    for (int from = 0; from < cols; from += Math.min(groupSize, cols - from)) {
      int to = from + Math.min(groupSize, cols - from);
      ClipSearch.NONE.fit(grid, scaled, from, to, error);
      for (int c = from; c < to; c++) {
        error[c] = row[c] - grid.value(grid.code(scaled[c])) / factors[c];
      }
    }
  }
}
