package dev.fathom.cpu.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogSumExpTest {

  private static final int OFF = 3;

  private static float[] logits(int n, float spread) {
    Random random = new Random(n);
    float[] logits = new float[OFF + n + 5];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) random.nextGaussian() * spread;
    }
    // Whoever looks beside the logits finds these.
    logits[0] = 1e30f;
    logits[OFF + n] = 1e30f;
    return logits;
  }

  private static float largest(float[] logits, int n) {
    float largest = logits[OFF];
    for (int i = 0; i < n; i++) {
      largest = Math.max(largest, logits[OFF + i]);
    }
    return largest;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 8, 15, 16, 17, 33, 100, 1023, 1024})
  void sumsAreThoseOfMath(int n) {
    for (float spread : new float[] {0f, 0.1f, 3f, 30f}) {
      float[] logits = logits(n, spread);
      float most = LogSumExp.largest(logits, OFF, n);
      assertThat(most).isEqualTo(largest(logits, n));
      double expected = 0;
      for (int i = 0; i < n; i++) {
        expected += Math.exp(Math.max((double) logits[OFF + i] - most, -80));
      }
      double sum = LogSumExp.sum(logits, OFF, n, most, new double[LogSumExp.scratchLen()]);
      assertThat(sum).isCloseTo(expected, within(1e-12 * expected));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 31, 64, 1000})
  void scalarsGiveTheBitsOfLanes(int n) {
    float[] logits = logits(n, 20f);
    double[] scratch = new double[LogSumExp.scratchLen()];
    boolean before = ScalarStart.set(true);
    try {
      float most = LogSumExp.largest(logits, OFF, n);
      double sum = LogSumExp.sum(logits, OFF, n, most, scratch);
      ScalarStart.set(false);
      assertThat(LogSumExp.largest(logits, OFF, n)).isEqualTo(most);
      assertThat(LogSumExp.sum(logits, OFF, n, most, scratch)).isEqualTo(sum);
    } finally {
      ScalarStart.set(before);
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void whatIsNotFiniteIsSeenWhereverItIs(float odd) {
    for (int n : new int[] {1, 16, 37, 1024}) {
      for (int at = 0; at < n; at++) {
        float[] logits = logits(n, 1f);
        logits[OFF + at] = odd;
        assertThat(LogSumExp.largest(logits, OFF, n)).as("%s of %s", at, n).isNaN();
      }
    }
  }

  @Test
  void exponentialsReachFromOneToTheLeast() {
    assertThat(LogSumExp.exp(0)).isEqualTo(1);
    assertThat(LogSumExp.exp(-80)).isCloseTo(Math.exp(-80), within(1e-12 * Math.exp(-80)));
    assertThat(LogSumExp.exp(-1e300)).isEqualTo(LogSumExp.exp(-80));
  }
}
