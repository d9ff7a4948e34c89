package dev.fathom.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TruncationTest {

  private final Truncation truncation = new Truncation();

  /** The ranking: larger weights first, lower ids first on ties. */
  private static Integer[] ranked(double[] weights, int n) {
    Integer[] order = new Integer[n];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (a, b) -> Double.compare(weights[b], weights[a]));
    return order;
  }

  private static double[] weights(Random random, int n, boolean ties) {
    double[] weights = new double[n];
    for (int i = 0; i < n; i++) {
      weights[i] = ties ? (1 + random.nextInt(4)) / 4.0 : 1 - random.nextDouble();
    }
    weights[random.nextInt(n)] = 1;
    return weights;
  }

  @Test
  void keepsTheHeadThatSortingWouldKeep() {
    Random random = new Random(3);
    for (int n : new int[] {1, 2, 3, 4, 6, 13, 25, 207, 702, 2046}) {
      for (int round = 0; round < 40; round++) {
        double[] weights = weights(random, n, round % 2 == 0);
        int k = 1 + random.nextInt(n + 2);
        double p = round % 5 == 0 ? 0.999999 : 0.01 + 0.98 * random.nextDouble();
        truncation.start(weights, n);
        truncation.topK(k);
        truncation.topP(p);
        int kept = Math.min(k, n);
        Integer[] order = ranked(weights, n);
        double total = 0;
        for (int i = 0; i < kept; i++) {
          total += weights[order[i]];
        }
        double sum = 0;
        int size = 0;
        while (size < kept && (size == 0 || sum < (p - Truncation.REACH_TOLERANCE) * total)) {
          sum += weights[order[size++]];
        }
        for (int i = 0; i < n; i++) {
          assertThat(truncation.keeps(order[i]))
              .as("n=%d k=%d p=%s rank=%d size=%d", n, k, p, i, size)
              .isEqualTo(i < size);
        }
      }
    }
  }

  @Test
  void weightsAreLeftAsTheyAre() {
    double[] weights = {0.25, 1, 0.5};
    truncation.start(weights, 3);
    truncation.topK(2);
    truncation.topP(0.5);
    assertThat(weights).containsExactly(0.25, 1, 0.5);
    assertThat(truncation.keeps(1)).isTrue();
    assertThat(truncation.keeps(2)).isFalse();
  }
}
