package dev.fathom.examples.bench;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ReadLimitTest {

  @Test
  void twoMeasurementsHaveTheBetterPassAndTheMeanOfTheMedians() {
    ReadLimit limit = new ReadLimit(64, 56).with(new ReadLimit(66, 50));

    assertThat(limit).isEqualTo(new ReadLimit(66, 53));
  }

  @Test
  void noPassIsFasterThanTheBestOne() {
    ReadLimit limit = ReadLimit.measure(2);

    // Slower than any machine of today, faster than any memory.
    assertThat(limit.median()).isBetween(0.1, limit.best());
    assertThat(limit.best()).isLessThan(10_000);
  }
}
