package dev.fathom.cpu.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.WeightPlacement;
import dev.fathom.quant.BlockFp8Quantizer;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Scalar loops give the bits of the vector kernels that they stand in for. */
class ScalarStartTest {

  private static final int ROWS = 21;

  private final Random random = new Random(29);

  private float[] gaussian(int len) {
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** What is computed must not change between the two calls. */
  private static void assertSameBits(Supplier<float[]> computed) {
    boolean before = ScalarStart.set(false);
    try {
      float[] want = computed.get();
      ScalarStart.set(true);
      float[] got = computed.get();
      for (int i = 0; i < want.length; i++) {
        assertThat(Float.floatToIntBits(got[i]))
            .as("element %d: %s instead of %s", i, got[i], want[i])
            .isEqualTo(Float.floatToIntBits(want[i]));
      }
    } finally {
      ScalarStart.set(before);
    }
  }

  static Stream<Arguments> matrices() {
    return Stream.of(WeightFormat.F32, WeightFormat.BF16, WeightFormat.FP8_E4M3)
        .flatMap(f -> IntStream.of(64, 100, 256, 2048).mapToObj(cols -> Arguments.of(f, cols)));
  }

  private WeightMatrix weights(WeightFormat format, int cols) {
    float[] values = gaussian(ROWS * cols);
    if (format == WeightFormat.FP8_E4M3) {
      BlockScaleLayout layout = new BlockScaleLayout(ROWS, cols, 16, 64);
      MemorySegment data = Arena.ofAuto().allocate(layout.weightBytes());
      MemorySegment scales = Arena.ofAuto().allocate(layout.scaleBytes());
      BlockFp8Quantizer.quantize(values, layout, data, scales);
      return WeightMatrix.blockFp8(layout, data, scales);
    }
    MemorySegment data = Arena.ofAuto().allocate(format.bytes((long) ROWS * cols), 4);
    for (int i = 0; i < values.length; i++) {
      if (format == WeightFormat.F32) {
        data.setAtIndex(ValueLayout.JAVA_FLOAT, i, values[i]);
      } else {
        short half = (short) (Float.floatToRawIntBits(values[i]) >>> 16);
        data.setAtIndex(ValueLayout.JAVA_SHORT, i, half);
      }
    }
    return WeightMatrix.dense(format, ROWS, cols, data);
  }

  @ParameterizedTest
  @MethodSource("matrices")
  void products(WeightFormat format, int cols) {
    RowMatrix matrix =
        (RowMatrix)
            Matrix.of(
                weights(format, cols),
                WeightPlacement.IN_PLACE,
                ActivationMode.FLOAT,
                Arena.ofAuto());
    assertThat(matrix.hasScalarRows()).isEqualTo(cols % 64 == 0);
    int n = 5;
    float[] in = gaussian(n * cols);
    float[] ordered = new float[n * cols];
    for (int i = 0; i < n; i++) {
      matrix.order().arrange(in, i * cols, ordered, i * cols, cols);
    }
    Vectors vectors = new Vectors(ordered, cols, IntStream.range(0, n).toArray());
    float[] scratch = new float[Matrix.scratchLen(cols)];
    for (int count : new int[] {1, n}) {
      assertSameBits(() -> {
        float[] out = new float[n * ROWS];
        matrix.multiply(1, ROWS, vectors, 0, count, out, 0, ROWS, scratch);
        return out;
      });
    }
  }

  @ParameterizedTest
  @MethodSource("matrices")
  void rowsInNaturalOrder(WeightFormat format, int cols) {
    RowMatrix matrix =
        (RowMatrix)
            Matrix.of(
                weights(format, cols),
                WeightPlacement.IN_PLACE,
                ActivationMode.FLOAT,
                Arena.ofAuto());
    assertSameBits(() -> {
      float[] out = new float[cols + 3];
      matrix.decodeNatural(17, out, 2);
      return out;
    });
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 16, 45, 80, 576})
  void dotProductsAndSumsOfRows(int len) {
    float[] rows = gaussian(9 * len);
    float[] x = gaussian(6 * len);
    float[] lanes = new float[Lanes.scratchLen()];
    assertSameBits(() -> {
      float[] out = new float[6 * 9 + 1];
      Dot.all(rows, 9, len, x, 0, 6, out, 9, lanes);
      out[54] = Dot.of(rows, 0, x, len, len, lanes);
      return out;
    });
    WeightedSum sums = new WeightedSum(9, len, len, len);
    float[] weights = gaussian(6 * 9);
    float[] begun = gaussian(6 * len);
    assertSameBits(() -> {
      float[] out = begun.clone();
      sums.add(weights, 0, rows, 9, out, 0, 6);
      return out;
    });
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 16, 32})
  void headsInLanes(int positions) {
    int width = 45;
    float[] keys = gaussian(positions * width);
    float[] turned = gaussian(HeadLanes.HEADS * width);
    float[] begun = gaussian(HeadLanes.HEADS);
    assertSameBits(() -> {
      float[] scores = new float[HeadLanes.scoresLen(positions)];
      HeadLanes.scores(keys, positions, width, turned, 0, scores);
      return Arrays.copyOf(scores, positions * HeadLanes.HEADS);
    });
    assertSameBits(() -> {
      float[] scores = new float[HeadLanes.scoresLen(positions)];
      HeadLanes.scores(keys, positions, width, turned, 0, scores);
      float[] state = Arrays.copyOf(begun, 3 * HeadLanes.HEADS);
      float[] max = Arrays.copyOf(begun, HeadLanes.HEADS);
      float[] sum = Arrays.copyOf(begun, HeadLanes.HEADS);
      float[] factors = new float[HeadLanes.HEADS];
      HeadLanes.weigh(scores, positions, max, sum, factors);
      System.arraycopy(max, 0, state, 0, HeadLanes.HEADS);
      System.arraycopy(sum, 0, state, HeadLanes.HEADS, HeadLanes.HEADS);
      System.arraycopy(factors, 0, state, 2 * HeadLanes.HEADS, HeadLanes.HEADS);
      return state;
    });
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 16, 45, 256})
  void whatTreatsElementsAlone(int len) {
    float[] a = gaussian(len);
    float[] b = gaussian(len);
    float[] lanes = new float[Lanes.scratchLen()];
    assertSameBits(() -> {
      float[] out = new float[len];
      RmsNorm.run(a, 0, b, 1e-6f, out);
      return out;
    });
    assertSameBits(() -> {
      float[] out = new float[len];
      SwiGlu.run(a, b, 7f, out, 0, len, lanes);
      return out;
    });
    assertSameBits(() -> {
      float[] out = new float[len];
      Sum.run(a, b, out, 0, len);
      Sum.addScaled(0.3f, a, 0, out, 0, len);
      Sum.scale(1.7f, out, 0, out, 0, len);
      return out;
    });
    assertSameBits(() -> {
      float[] out = a.clone();
      float max = Softmax.max(out, 0, len);
      float sum = Softmax.exponentials(out, 0, len, max);
      out[len - 1] = sum;
      return out;
    });
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 16, 64, 90})
  void rotations(int dim) {
    float[] x = gaussian(dim);
    float[] cos = gaussian(dim);
    float[] sin = gaussian(dim);
    assertSameBits(() -> {
      float[] out = x.clone();
      Rope.interleaved(out, 0, dim, cos, sin, 0);
      Rope.halfSplit(out, 0, dim, cos, sin, 0);
      return out;
    });
  }

  @Test
  void endsForTheSecondModelForLargeOnesForLongStepsAndWhenItsTimeIsSpent() {
    boolean before = ScalarStart.set(true);
    try {
      assertThat(ScalarStart.begin(ScalarStart.MOST_TOKENS)).isTrue();
      assertThat(ScalarStart.begin(ScalarStart.MOST_TOKENS + 1)).isFalse();
      assertThat(ScalarStart.isOn()).isFalse();

      ScalarStart.set(true);
      ScalarStart.decide(1);
      assertThat(ScalarStart.isOn()).as("with a second model").isFalse();

      ScalarStart.set(true);
      ScalarStart.spend(ScalarStart.MOST_NANOS);
      assertThat(ScalarStart.isOn()).as("after its time").isFalse();

      ScalarStart.set(true);
      ScalarStart.end();
      assertThat(ScalarStart.isOn()).as("when somebody warms up").isFalse();
    } finally {
      ScalarStart.set(before);
    }
  }
}
