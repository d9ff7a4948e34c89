package dev.fathom.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class CounterRandomTest {

  @Test
  void numbersAreAFunctionOfSeedAndCounter() {
    assertThat(CounterRandom.bits(1, 2)).isEqualTo(CounterRandom.bits(1, 2));
    assertThat(CounterRandom.bits(1, 2)).isNotEqualTo(CounterRandom.bits(2, 1));
    assertThat(CounterRandom.seedOfChoice(9, 0)).isEqualTo(9);
  }

  @Test
  void neighbouringSeedsCountersAndChoicesShareNothing() {
    Set<Long> seen = new HashSet<>();
    for (long seed = -50; seed < 50; seed++) {
      for (int counter = 0; counter < 50; counter++) {
        assertThat(seen.add(CounterRandom.bits(seed, counter))).isTrue();
      }
      for (int choice = 1; choice < 20; choice++) {
        assertThat(seen.add(CounterRandom.seedOfChoice(seed, choice))).isTrue();
      }
    }
  }

  @Test
  void uniformNumbersFillTheUnitIntervalEvenly() {
    int n = 100_000;
    double sum = 0;
    int[] buckets = new int[100];
    for (int i = 0; i < n; i++) {
      double u = CounterRandom.uniform(123, i);
      assertThat(u).isGreaterThanOrEqualTo(0).isLessThan(1);
      sum += u;
      buckets[(int) (u * 100)]++;
    }
    assertThat(sum / n).isCloseTo(0.5, within(0.005));
    double chiSquared = 0;
    for (int count : buckets) {
      chiSquared += (count - 1000.0) * (count - 1000.0) / 1000.0;
    }
    assertThat(chiSquared).isLessThan(200);
  }
}
