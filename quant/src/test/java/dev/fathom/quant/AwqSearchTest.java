package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.quant.AwqSearch.Linear;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class AwqSearchTest {
  private static final int ROWS = 24;
  private static final int COLS = 64;
  private static final int SAMPLES = 20;
  private static final Int4Recipe RECIPE =
      new Int4Recipe(32, ZeroPoints.ASYMMETRIC, WeightFormat.F16);

  /** Activations whose channels 3, 17 and 40 are large. */
  private static float[] outlierSamples(int n) {
    SplittableRandom random = new SplittableRandom(6);
    float[] x = new float[n * COLS];
    for (int i = 0; i < x.length; i++) {
      int c = i % COLS;
      double size = c == 3 ? 60 : c == 17 ? 25 : c == 40 ? 100 : 1;
      x[i] = (float) (size * random.nextGaussian());
    }
    return x;
  }

  /** Squared difference of the outputs of w and of decoded(w · s) / s, multiplied out. */
  private static double outputLoss(float[] w, WeightMatrix quantized, float[] s, float[] x) {
    double sum = 0;
    for (int n = 0; n < x.length / COLS; n++) {
      for (int r = 0; r < w.length / COLS; r++) {
        double exact = 0;
        double approximate = 0;
        for (int c = 0; c < COLS; c++) {
          exact += (double) w[r * COLS + c] * x[n * COLS + c];
          approximate += (double) quantized.get(r, c) * (x[n * COLS + c] / (double) s[c]);
        }
        sum += (exact - approximate) * (exact - approximate);
      }
    }
    return sum;
  }

  private static WeightMatrix quantize(float[] w, float[] s, ClipSearch clip) {
    float[] scaled = new float[w.length];
    for (int i = 0; i < w.length; i++) {
      scaled[i] = w[i] * s[i % COLS];
    }
    return Int4Quantizer.quantize(
        RowReader.of(scaled, COLS), w.length / COLS, COLS, RECIPE, clip, Arena.ofAuto());
  }

  @Test
  void theSearchFindsTheBestExponentOfItsGrid() {
    float[] w = QuantizerAsserts.weights(ROWS * COLS, 2);
    float[] x = outlierSamples(SAMPLES);
    float[] means = AwqSearch.meanMagnitude(x, COLS);
    AwqScales scales =
        AwqSearch.search(List.of(new Linear(RowReader.of(w, COLS), ROWS)), means, x, RECIPE);

    double best = Double.POSITIVE_INFINITY;
    int bestStep = -1;
    for (int i = 0; i <= 20; i++) {
      float[] s = AwqSearch.factors(means, i / 20.0);
      double loss = outputLoss(w, quantize(w, s, ClipSearch.NONE), s, x);
      if (i == 0) {
        assertThat(scales.unscaledLoss()).isCloseTo(loss, within(loss * 1e-4));
      }
      if (loss < best) {
        best = loss;
        bestStep = i;
      }
    }
    assertThat(scales.exponent()).isEqualTo(bestStep / 20f);
    assertThat(scales.loss()).isCloseTo(best, within(best * 1e-4));
    assertThat(bestStep).isPositive();
    assertThat(scales.loss()).isLessThan(0.6 * scales.unscaledLoss());
  }

  @Test
  void scalingThenClippingBeatsPlainRoundingOnOutlierActivations() {
    float[] w = QuantizerAsserts.weights(ROWS * COLS, 2);
    float[] x = outlierSamples(SAMPLES);
    AwqScales scales =
        AwqSearch.search(
            List.of(new Linear(RowReader.of(w, COLS), ROWS)),
            AwqSearch.meanMagnitude(x, COLS),
            x,
            RECIPE);
    float[] s = scales.factors();
    ErrorLoss outputs = ErrorLoss.outputs(scales.unscale(x), COLS);
    WeightMatrix clipped =
        Int4Quantizer.quantize(
            scales.apply(RowReader.of(w, COLS)),
            ROWS,
            COLS,
            RECIPE,
            ClipSearch.of(outputs),
            Arena.ofAuto());

    float[] ones = new float[COLS];
    Arrays.fill(ones, 1f);
    double plain = outputLoss(w, quantize(w, ones, ClipSearch.NONE), ones, x);
    double scaled = outputLoss(w, quantize(w, s, ClipSearch.NONE), s, x);
    double both = outputLoss(w, clipped, s, x);
    assertThat(scaled).isLessThan(plain);
    assertThat(both).isLessThan(scaled);
    float[] unseen = outlierSamples(3 * SAMPLES);
    assertThat(outputLoss(w, clipped, s, unseen))
        .isLessThan(outputLoss(w, quantize(w, ones, ClipSearch.NONE), ones, unseen));
  }

  @Test
  void factorsHaveTheKnownValuesAndAreBalanced() {
    float[] s = AwqSearch.factors(new float[] {4f, 1f, 16f}, 0.5);
    assertThat(s).containsExactly(1f, 0.5f, 2f);
    assertThat(AwqSearch.factors(new float[] {4f, 0f, 16f}, 0)).containsExactly(1f, 1f, 1f);
    float[] dead = AwqSearch.factors(new float[] {1f, 0f}, 1);
    assertThat(dead[0]).isCloseTo(100f, within(1e-3f));
    assertThat(dead[1]).isCloseTo(0.01f, within(1e-7f));
  }

  @Test
  void linearsOfTheSameInputAreSearchedTogether() {
    float[] w = QuantizerAsserts.weights(ROWS * COLS, 2);
    float[] v = QuantizerAsserts.weights(13 * COLS, 3);
    float[] both = Arrays.copyOf(w, w.length + v.length);
    System.arraycopy(v, 0, both, w.length, v.length);
    float[] x = outlierSamples(SAMPLES);
    float[] means = AwqSearch.meanMagnitude(x, COLS);

    AwqScales apart =
        AwqSearch.search(
            List.of(new Linear(RowReader.of(w, COLS), ROWS), new Linear(RowReader.of(v, COLS), 13)),
            means,
            x,
            RECIPE);
    AwqScales joined =
        AwqSearch.search(
            List.of(new Linear(RowReader.of(both, COLS), ROWS + 13)), means, x, RECIPE);
    assertThat(apart.exponent()).isEqualTo(joined.exponent());
    assertThat(apart.loss()).isCloseTo(joined.loss(), within(joined.loss() * 1e-12));
    assertThat(apart.factors()).isEqualTo(joined.factors());
  }

  @Test
  void ofVeryManyRowsEvenlySpacedOnesAreJudged() {
    int rows = 2 * AwqSearch.MOST_ROWS + 5;
    float[] w = QuantizerAsserts.weights(rows * COLS, 2);
    float[] x = outlierSamples(3);
    float[] means = AwqSearch.meanMagnitude(x, COLS);
    float[] judged = new float[(rows + 2) / 3 * COLS];
    for (int r = 0; r < rows; r += 3) {
      System.arraycopy(w, r * COLS, judged, r / 3 * COLS, COLS);
    }

    AwqScales all =
        AwqSearch.search(List.of(new Linear(RowReader.of(w, COLS), rows)), means, x, RECIPE);
    AwqScales third =
        AwqSearch.search(
            List.of(new Linear(RowReader.of(judged, COLS), judged.length / COLS)),
            means,
            x,
            RECIPE);
    assertThat(all.loss()).isEqualTo(third.loss());
    assertThat(all.factors()).isEqualTo(third.factors());
  }

  @Test
  void evenActivationsKeepTheFactorsAtOne() {
    float[] w = QuantizerAsserts.weights(ROWS * COLS, 2);
    float[] x = new float[COLS * COLS];
    for (int c = 0; c < COLS; c++) {
      x[c * COLS + c] = 2f;
    }
    AwqScales scales =
        AwqSearch.search(
            List.of(new Linear(RowReader.of(w, COLS), ROWS)),
            AwqSearch.meanMagnitude(x, COLS),
            x,
            RECIPE);
    assertThat(scales.exponent()).isZero();
    assertThat(scales.factors()).containsOnly(1f);
    assertThat(scales.loss()).isEqualTo(scales.unscaledLoss());
  }

  @Test
  void meanMagnitudesAreThoseOfTheColumns() {
    assertThat(AwqSearch.meanMagnitude(new float[] {1f, -4f, -3f, 0f}, 2)).containsExactly(2f, 2f);
  }

  @Test
  void inputsThatDoNotFitAreRefused() {
    float[] means = {1f, 1f};
    Linear linear = new Linear(RowReader.of(new float[2], 2), 1);
    assertThatThrownBy(() -> AwqSearch.search(List.of(), means, means, RECIPE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be >= 1: linears.size=0");
    assertThatThrownBy(() -> AwqSearch.search(List.of(linear), means, new float[0], RECIPE))
        .hasMessage("must be >= 2: samples.length=0");
    assertThatThrownBy(() -> AwqSearch.search(List.of(linear), means, new float[3], RECIPE))
        .hasMessage("must be a multiple of 2: samples.length=3");
    assertThatThrownBy(
            () -> AwqSearch.search(List.of(linear), means, new float[] {0, Float.NaN}, RECIPE))
        .hasMessage("must be finite: samples[1]=NaN");
    assertThatThrownBy(() -> AwqSearch.factors(new float[] {1f, -2f}, 0.5))
        .hasMessage("must be >= 0: meanMagnitude[1]=-2.0");
    assertThatThrownBy(() -> AwqSearch.factors(new float[0], 0.5))
        .hasMessage("must be >= 1: meanMagnitude.length=0");
    assertThatThrownBy(() -> new Linear(RowReader.of(new float[2], 2), 0))
        .hasMessage("must be >= 1: rows=0");
  }
}
