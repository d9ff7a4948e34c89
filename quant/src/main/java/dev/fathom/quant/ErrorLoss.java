package dev.fathom.quant;

import java.util.Arrays;

/**
 * How bad the errors of a quantized row are: a sum of squares that a search makes small.
 *
 * <p>Implementations do not keep or change the errors. Threads: those made here are stateless.
 */
@FunctionalInterface
public interface ErrorLoss {
  /**
   * The loss of columns [from, to) alone.
   *
   * @param error exact minus quantized weight of each column
   * @return at least 0
   */
  double of(float[] error, int from, int to);

  /** The sum of the squared errors. */
  static ErrorLoss squares() {
    return (error, from, to) -> {
      double sum = 0;
      for (int c = from; c < to; c++) {
        sum += (double) error[c] * error[c];
      }
      return sum;
    };
  }

  /**
   * The sum of the squared errors, each times the importance of its column, for instance the mean
   * square of its activations.
   *
   * @param importance one factor a column, at least 0; copied
   * @throws IllegalArgumentException if a factor is negative or not finite
   */
  static ErrorLoss weighted(float[] importance) {
    float[] weights = importance.clone();
    Checks.finite("importance", weights);
    for (int c = 0; c < weights.length; c++) {
      if (weights[c] < 0) {
        throw new IllegalArgumentException("must be >= 0: importance[" + c + "]=" + weights[c]);
      }
    }
    return (error, from, to) -> {
      double sum = 0;
      for (int c = from; c < to; c++) {
        sum += (double) weights[c] * error[c] * error[c];
      }
      return sum;
    };
  }

  /**
   * The sum over sample activations x of {@code (error · x)^2}: what the output of the row is off.
   *
   * @param samples [n, cols] activations, row-major, not copied
   * @param cols columns of the weight
   * @throws IllegalArgumentException if the samples are no whole rows or not finite
   */
  static ErrorLoss outputs(float[] samples, int cols) {
    Checks.atLeast(1, "cols", cols);
    Checks.multiple(cols, "samples.length", samples.length);
    Checks.finite("samples", samples);
    if (samples.length / cols > cols) {
      return quadratic(gram(samples, cols), cols);
    }
    return (error, from, to) -> {
      double sum = 0;
      for (int x = 0; x < samples.length; x += cols) {
        double dot = 0;
        for (int c = from; c < to; c++) {
          dot += (double) error[c] * samples[x + c];
        }
        sum += dot * dot;
      }
      return sum;
    };
  }

  /** The samples' products summed, the lower triangle of [cols, cols] alone. */
  static float[] gram(float[] samples, int cols) {
    double[] row = new double[cols];
    float[] gram = new float[Math.multiplyExact(cols, cols)];
    for (int i = 0; i < cols; i++) {
      Arrays.fill(row, 0);
      for (int x = 0; x < samples.length; x += cols) {
        double xi = samples[x + i];
        for (int j = 0; xi != 0 && j <= i; j++) {
          row[j] += xi * samples[x + j];
        }
      }
      for (int j = 0; j <= i; j++) {
        gram[i * cols + j] = (float) row[j];
      }
    }
    return gram;
  }

  /** error^T G error over columns [from, to), from the lower triangle of G; never below 0. */
  static ErrorLoss quadratic(float[] gram, int cols) {
    return (error, from, to) -> {
      double sum = 0;
      for (int i = from; i < to; i++) {
        double dot = 0;
        int row = i * cols;
        for (int j = from; j < i; j++) {
          dot += (double) error[j] * gram[row + j];
        }
        sum += error[i] * (2 * dot + (double) error[i] * gram[row + i]);
      }
      return Math.max(0, sum);
    };
  }
}
