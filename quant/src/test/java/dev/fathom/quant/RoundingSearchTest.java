package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RoundingSearchTest {
  private static final int ROWS = 12;

  /** Activations of a few directions only, so that errors can cancel. */
  private static float[] correlated(int n, int cols, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    SplittableRandom mixing = new SplittableRandom(99);
    int rank = Math.max(1, cols / 4);
    float[] mix = new float[rank * cols];
    for (int i = 0; i < mix.length; i++) {
      mix[i] = (float) mixing.nextGaussian();
    }
    float[] x = new float[n * cols];
    for (int s = 0; s < n; s++) {
      for (int k = 0; k < rank; k++) {
        float size = (float) random.nextGaussian();
        for (int c = 0; c < cols; c++) {
          x[s * cols + c] += size * mix[k * cols + c];
        }
      }
    }
    return x;
  }

  private static WeightMatrix quantize(float[] w, int cols, int group, WeightSearch search) {
    Int4Recipe recipe = new Int4Recipe(group, ZeroPoints.ASYMMETRIC, WeightFormat.F16);
    return Int4Quantizer.quantize(
        RowReader.of(w, cols), w.length / cols, cols, recipe, search, Arena.ofAuto());
  }

  /** What the outputs are off on samples, multiplied out in double. */
  private static double outputLoss(float[] w, WeightMatrix quantized, float[] x, int cols) {
    double sum = 0;
    for (int s = 0; s < x.length; s += cols) {
      for (int r = 0; r < w.length / cols; r++) {
        double dot = 0;
        for (int c = 0; c < cols; c++) {
          dot += ((double) w[r * cols + c] - quantized.get(r, c)) * x[s + c];
        }
        sum += dot * dot;
      }
    }
    return sum;
  }

  @ParameterizedTest
  @CsvSource({"64, 32", "96, 32", "40, 40", "33, 33", "1, 1"})
  void theErrorsOfARowCancelOnTheSamplesAndOnUnseenOnesOfTheirKind(int cols, int group) {
    float[] w = QuantizerAsserts.weights(ROWS * cols, 5);
    float[] x = correlated(4 * cols, cols, 1);
    WeightMatrix nearest = quantize(w, cols, group, WeightSearch.NONE);
    WeightMatrix searched =
        quantize(w, cols, group, new WeightSearch(ClipSearch.NONE, new RoundingSearch(x, cols)));

    double before = outputLoss(w, nearest, x, cols);
    assertThat(outputLoss(w, searched, x, cols)).isLessThanOrEqualTo(before);
    if (cols > 1) {
      float[] unseen = correlated(4 * cols, cols, 2);
      assertThat(outputLoss(w, searched, x, cols)).isLessThan(0.5 * before);
      assertThat(outputLoss(w, searched, unseen, cols))
          .isLessThan(0.5 * outputLoss(w, nearest, unseen, cols));
    }
  }

  @Test
  void noSingleStepOfACodeWouldLowerTheLossFurther() {
    int cols = 16;
    float[] w = QuantizerAsserts.weights(ROWS * cols, 5);
    float[] x = correlated(3 * cols, cols, 1);
    float[] damped = Arrays.copyOf(x, x.length + cols * cols);
    double trace = 0;
    for (float value : x) {
      trace += (double) value * value;
    }
    for (int c = 0; c < cols; c++) {
      damped[x.length + c * cols + c] = (float) Math.sqrt(RoundingSearch.DAMPING * trace / cols);
    }
    WeightMatrix searched =
        quantize(w, cols, cols, new WeightSearch(ClipSearch.NONE, new RoundingSearch(x, cols)));
    for (int r = 0; r < ROWS; r++) {
      float[] row = Arrays.copyOfRange(w, r * cols, (r + 1) * cols);
      float[] decoded = new float[cols];
      searched.decodeRow(r, decoded, 0);
      // Codes step by the smallest difference of two values of the row.
      float[] sorted = decoded.clone();
      Arrays.sort(sorted);
      float scale = Float.MAX_VALUE;
      for (int c = 1; c < cols; c++) {
        float gap = sorted[c] - sorted[c - 1];
        scale = gap > 0 ? Math.min(scale, gap) : scale;
      }
      double loss = rowLoss(row, decoded, damped);
      float lowest = sorted[0];
      float highest = sorted[cols - 1];
      for (int c = 0; c < cols; c++) {
        for (float step : new float[] {-scale, scale}) {
          float moved = decoded[c] + step;
          if (moved >= lowest && moved <= highest) {
            float[] other = decoded.clone();
            other[c] = moved;
            assertThat(rowLoss(row, other, damped)).isGreaterThan(loss * (1 - 1e-5));
          }
        }
      }
    }
  }

  private static double rowLoss(float[] row, float[] decoded, float[] x) {
    double sum = 0;
    for (int s = 0; s < x.length; s += row.length) {
      double dot = 0;
      for (int c = 0; c < row.length; c++) {
        dot += ((double) row[c] - decoded[c]) * x[s + c];
      }
      sum += dot * dot;
    }
    return sum;
  }

  @Test
  void theLossOfManySamplesIsTheSumOverThem() {
    int cols = 9;
    float[] many = correlated(5 * cols, cols, 3);
    SplittableRandom random = new SplittableRandom(4);
    float[] error = new float[cols];
    for (int c = 0; c < cols; c++) {
      error[c] = (float) random.nextGaussian();
    }
    ErrorLoss gathered = ErrorLoss.outputs(many, cols);
    for (int[] range : new int[][] {{0, 9}, {2, 7}, {4, 5}, {3, 3}}) {
      double sum = 0;
      for (int s = 0; s < many.length; s += cols) {
        double dot = 0;
        for (int c = range[0]; c < range[1]; c++) {
          dot += (double) error[c] * many[s + c];
        }
        sum += dot * dot;
      }
      assertThat(gathered.of(error, range[0], range[1])).isCloseTo(sum, within(1e-4 * sum + 1e-9));
    }
  }

  @Test
  void samplesThatAreNoRowsOrNoNumbersAreRefused() {
    assertThatThrownBy(() -> new RoundingSearch(new float[7], 4))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("samples.length=7");
    assertThatThrownBy(() -> new RoundingSearch(new float[0], 4))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new RoundingSearch(new float[] {1, Float.NaN}, 2))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("samples");
  }
}
