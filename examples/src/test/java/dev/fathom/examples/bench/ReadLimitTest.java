package dev.fathom.examples.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class ReadLimitTest {

  @Test
  void passesOfSeveralMeasurementsAreOfOneLimit() {
    ReadLimit limit =
        ReadLimit.of(List.of(new ReadLimit(List.of(60.0, 30.0)), new ReadLimit(List.of(20.0))));

    assertThat(limit.best()).isEqualTo(60);
    assertThat(limit.median()).isEqualTo(30);
    // Three parts in 1/60 + 1/30 + 1/20 = 1/10.
    assertThat(limit.mean()).isCloseTo(30, within(1e-9));
    assertThat(new ReadLimit(List.of(40.0, 10.0)).mean()).isCloseTo(16, within(1e-9));
    assertThat(new ReadLimit(List.of(40.0, 10.0)).median()).isEqualTo(25);
  }

  @Test
  void noPassIsFasterThanTheBestOne() {
    ReadLimit limit;
    try (ReadMeter meter = new ReadMeter(2)) {
      limit = meter.measure();
    }

    // Slower than any machine of today, faster than any memory.
    assertThat(limit.median()).isBetween(0.1, limit.best());
    assertThat(limit.best()).isLessThan(10_000);
  }
}
