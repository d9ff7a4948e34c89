package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Comparisons of memory. */
final class SegmentAsserts {
  private SegmentAsserts() {}

  static void assertSame(@Nullable MemorySegment actual, @Nullable MemorySegment expected) {
    if (actual == null || expected == null) {
      assertThat(actual).isEqualTo(expected);
      return;
    }
    assertThat(actual.byteSize()).isEqualTo(expected.byteSize());
    assertThat(actual.mismatch(expected)).isEqualTo(-1);
  }
}
