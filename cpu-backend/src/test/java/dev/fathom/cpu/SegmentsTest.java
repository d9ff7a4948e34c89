package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SegmentsTest {

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "1, 1",
    "128, 1",
    "129, 2",
    "1024, 8",
    "1025, 9",
    "1280, 9",
    "1281, 10",
    "4000, 20"
  })
  void shortOnesComeFirst(int positions, int segments) {
    assertThat(Segments.count(positions)).isEqualTo(segments);
  }

  @Test
  void theyCoverAllPositionsInWholeChunks() {
    assertThat(Segments.begin(0)).isZero();
    for (int positions = 1; positions < 3_000; positions++) {
      int last = Segments.count(positions) - 1;
      assertThat(Segments.begin(last)).isLessThan(positions);
      assertThat(Segments.begin(last + 1)).isGreaterThanOrEqualTo(positions);
      assertThat(Segments.begin(last) % HeadScratch.CHUNK).isZero();
    }
  }

  @Test
  void morePositionsThanAnIntHoldsAreCounted() {
    long positions = 1L << 33;
    assertThat(Segments.count(positions)).isEqualTo((positions - 1024) / 256 + 8);
  }
}
