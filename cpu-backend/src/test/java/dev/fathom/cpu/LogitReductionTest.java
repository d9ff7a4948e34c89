package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.backend.SamplingRows;
import dev.fathom.sampling.HostSampler;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogitReductionTest {

  private static final int ROWS = 3;

  private final SamplingRows rows = new SamplingRows(ROWS);

  private static float[] logits(int vocabSize) {
    Random random = new Random(vocabSize);
    float[] logits = new float[ROWS * vocabSize];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) random.nextGaussian() * 5;
    }
    return logits;
  }

  /** Reduces with pieces in so many parts, the last one first. */
  private void reduce(float[] logits, int vocabSize, int parts) {
    rows.clear();
    for (int row = 0; row < ROWS; row++) {
      rows.addGreedy();
    }
    LogitReduction reduction = new LogitReduction(vocabSize, ROWS, parts);
    int n = reduction.begin(logits, rows);
    for (int part = parts - 1; part >= 0; part--) {
      reduction.run(Step.begin(n, part, parts), Step.begin(n, part + 1, parts), part);
    }
    reduction.finish(rows);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 5, 1024, 1025, 2500, 5000})
  void rowsComeToWhatTheHostFinds(int vocabSize) {
    float[] logits = logits(vocabSize);
    reduce(logits, vocabSize, 1);
    double[] sums = new double[ROWS];
    for (int row = 0; row < ROWS; row++) {
      int off = row * vocabSize;
      int best = 0;
      for (int i = 0; i < vocabSize; i++) {
        best = logits[off + i] > logits[off + best] ? i : best;
      }
      assertThat(rows.best(row)).isEqualTo(best);
      sums[row] = rows.logSumExp(row);
      assertThat(sums[row]).isCloseTo(HostSampler.logSumExp(logits, off, vocabSize), within(1e-11));
    }
    for (int parts = 2; parts < 6; parts++) {
      reduce(logits, vocabSize, parts);
      for (int row = 0; row < ROWS; row++) {
        assertThat(rows.logSumExp(row)).as("%s parts", parts).isEqualTo(sums[row]);
      }
    }
  }

  @Test
  void theFirstOfEqualLogitsIsTheBest() {
    float[] logits = new float[ROWS * 3000];
    logits[2999] = -0f;
    logits[3000 + 2100] = 4;
    logits[3000 + 2900] = 4;
    reduce(logits, 3000, 2);
    assertThat(rows.best(0)).isZero();
    assertThat(rows.best(1)).isEqualTo(2100);
    assertThat(rows.logSumExp(0)).isCloseTo(Math.log(3000), within(1e-12));
  }

  @Test
  void aRowThatIsNotFiniteIsLeftToTheSampler() {
    float[] logits = logits(3000);
    logits[3000 + 2500] = Float.POSITIVE_INFINITY;
    reduce(logits, 3000, 1);
    assertThat(rows.isReduced(0)).isTrue();
    assertThat(rows.isReduced(1)).isFalse();
    assertThat(rows.isReduced(2)).isTrue();
  }
}
