package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;

/** What every integer quantizer promises. */
final class QuantizerAsserts {
  static final List<WeightFormat> SCALES =
      List.of(WeightFormat.F32, WeightFormat.F16, WeightFormat.BF16);

  private QuantizerAsserts() {}

  /** Gaussian weights with a few outliers. */
  static float[] weights(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    float[] w = new float[count];
    for (int i = 0; i < count; i++) {
      double outlier = random.nextInt(20) == 0 ? 8 : 1;
      w[i] = (float) (0.02 * outlier * random.nextGaussian());
    }
    return w;
  }

  static float scale(WeightMatrix matrix, int r, int c) {
    IntegerLayout layout = (IntegerLayout) Objects.requireNonNull(matrix.packing());
    int groups = (layout.cols() + layout.groupSize() - 1) / layout.groupSize();
    long index = (long) r * groups + c / layout.groupSize();
    MemorySegment scales = Objects.requireNonNull(matrix.scales());
    return switch (layout.scaleFormat()) {
      case F32 -> scales.getAtIndex(Vectors.FLOAT, index);
      case F16 -> Float.float16ToFloat(scales.getAtIndex(Vectors.SHORT, index));
      default -> Float.intBitsToFloat(scales.getAtIndex(Vectors.SHORT, index) << 16);
    };
  }

  static void assertWithinHalfAScale(WeightMatrix matrix, float[] w) {
    for (int i = 0; i < w.length; i++) {
      int r = i / matrix.cols();
      int c = i % matrix.cols();
      double bound = scale(matrix, r, c) * 0.500001;
      assertThat((double) matrix.get(r, c)).isCloseTo(w[i], within(bound));
    }
  }

  /** The scale covers the range in {@code steps} steps, and is one rounding of its type above. */
  static void assertScales(WeightMatrix matrix, float[] w, int steps, ZeroPoints zeros) {
    IntegerLayout layout = (IntegerLayout) Objects.requireNonNull(matrix.packing());
    double slack =
        switch (layout.scaleFormat()) {
          case F32 -> 0x1p-23;
          case F16 -> 0x1p-10;
          default -> 0x1p-7;
        };
    for (int r = 0; r < matrix.rows(); r++) {
      for (int from = 0; from < matrix.cols(); from += layout.groupSize()) {
        double low = 0;
        double high = 0;
        for (int c = from; c < Math.min(matrix.cols(), from + layout.groupSize()); c++) {
          low = Math.min(low, w[r * matrix.cols() + c]);
          high = Math.max(high, w[r * matrix.cols() + c]);
        }
        double range = zeros == ZeroPoints.SYMMETRIC ? Math.max(-low, high) : high - low;
        double exact = range / steps;
        assertThat((double) scale(matrix, r, from))
            .isBetween(exact * (1 - 0x1p-23), exact * (1 + slack) * (1 + 0x1p-23) + 0x1p-24);
      }
    }
  }

  static void assertSameFloats(WeightMatrix actual, WeightMatrix expected) {
    assertThat(actual.rows()).isEqualTo(expected.rows());
    assertThat(actual.cols()).isEqualTo(expected.cols());
    float[] a = new float[actual.cols()];
    float[] e = new float[actual.cols()];
    for (int r = 0; r < actual.rows(); r++) {
      actual.decodeRow(r, a, 0);
      expected.decodeRow(r, e, 0);
      assertThat(a).isEqualTo(e);
    }
  }
}
