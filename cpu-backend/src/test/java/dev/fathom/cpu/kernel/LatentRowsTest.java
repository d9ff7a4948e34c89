package dev.fathom.cpu.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LatentRowsTest {

  private static final int WIDTH = 576;
  private static final int RANK = 512;
  private static final int HEADS = HeadLanes.HEADS;
  private static final long BEFORE = 4L * 3;

  private final Random random = new Random(3);

  @BeforeAll
  static void hasVectorsOf512Bits() {
    assumeTrue(LatentRows.fits(WIDTH, RANK), "rows are read in place with vectors of 512 bits");
  }

  private float[] gaussian(int len) {
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** Copies rows to native memory, a few bytes behind its beginning. */
  private static MemorySegment cache(float[] rows) {
    MemorySegment memory = Arena.ofAuto().allocate(BEFORE + 4L * rows.length, 4);
    MemorySegment.copy(rows, 0, memory, ValueLayout.JAVA_FLOAT, BEFORE, rows.length);
    return memory;
  }

  @ParameterizedTest
  @ValueSource(ints = {16, 32, 64})
  void scoresHaveTheBitsOfCopiedRows(int m) {
    float[] rows = gaussian(m * WIDTH);
    float[] turned = gaussian(5 + HEADS * WIDTH);
    float[] want = new float[HeadLanes.scoresLen(m)];
    HeadLanes.scores(rows, m, WIDTH, turned, 5, want);
    float[] got = new float[want.length];
    LatentRows.scores(cache(rows), BEFORE, m, turned, 5, got);
    assertThat(got).isEqualTo(want);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 16, 32})
  void sumsHaveTheBitsOfCopiedRows(int m) {
    int stride = RANK + 2;
    float[] rows = gaussian(m * WIDTH);
    float[] weights = gaussian(m * HEADS);
    float[] want = gaussian(7 + HEADS * stride);
    float[] got = want.clone();
    WeightedSum sums = new WeightedSum(1, HEADS, WIDTH, stride, RANK);
    sums.add(weights, 0, rows, m, want, 7, HEADS);
    LatentRows.add(cache(rows), BEFORE, m, weights, got, 7, stride);
    assertThat(got).isEqualTo(want);
  }

  @Test
  void onlyRowsOfDeepSeeksWidthsFit() {
    assertThat(LatentRows.fits(WIDTH - 1, RANK)).isFalse();
    assertThat(LatentRows.fits(WIDTH, RANK - 64)).isFalse();
    assertThat(LatentRows.fits(RANK, RANK)).isFalse();
  }

  @Test
  void aPartOfTheRowsThatIsNotFiniteStaysInItsRow() {
    float[] rows = gaussian(16 * WIDTH);
    rows[3 * WIDTH + 575] = Float.NaN;
    float[] scores = new float[HeadLanes.scoresLen(16)];
    LatentRows.scores(cache(rows), BEFORE, 16, gaussian(HEADS * WIDTH), 0, scores);
    for (int p = 0; p < 16; p++) {
      float[] row = Arrays.copyOfRange(scores, p * HEADS, (p + 1) * HEADS);
      for (float score : row) {
        assertThat(Float.isNaN(score)).isEqualTo(p == 3);
      }
    }
  }
}
