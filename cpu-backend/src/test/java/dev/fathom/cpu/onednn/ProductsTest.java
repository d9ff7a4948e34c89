package dev.fathom.cpu.onednn;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.WeightPlacement;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.quant.BlockFp8Quantizer;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.Int4Layout;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Products of every weight format against float64 sums, in the bound of rounding both sides. */
class ProductsTest {

  /** What may be left of a code that its zero point makes zero. */
  private static final double REST = 1e-6;

  /** Two roundings of 2^-8, and what float32 sums and scales add. */
  private static final double BOUND = 0x1p-7 + 1e-4;

  private static final int MOST_TOKENS = 520;
  private static final int MOST_COLS = 2046;

  private final Random random = new Random(17);
  private final Arena arena = Arena.ofShared();

  @BeforeAll
  static void there() {
    OneDnnThere.orSkip();
  }

  @AfterEach
  void close() {
    arena.close();
  }

  static Stream<Arguments> cases() {
    int[][] sizes = {
      {1, 32, 4},
      {3, 100, 33},
      {33, 2046, 33},
      {64, 100, 1},
      {67, 2046, 207},
      {65, 1, 16},
      {130, 257, 520},
      {40, 207, 70},
      {100, 96, 129}
    };
    return Stream.of(
            "f32",
            "bf16",
            "bf16 rows",
            "f16",
            "fp8",
            "fp8 of 32",
            "int8",
            "int8 zeros",
            "int4",
            "int4 zeros")
        .flatMap(f -> Stream.of(sizes).map(s -> Arguments.of(f, s[0], s[1], s[2])));
  }

  private WeightMatrix weights(String format, int rows, int cols) {
    return switch (format) {
      case "f32" -> dense(WeightFormat.F32, rows, cols);
      case "bf16", "bf16 rows" -> dense(WeightFormat.BF16, rows, cols);
      case "f16" -> dense(WeightFormat.F16, rows, cols);
      case "fp8" -> fp8(rows, cols, 128);
      case "fp8 of 32" -> fp8(rows, cols, 32);
      case "int8" -> int8(rows, cols, cols, false);
      case "int8 zeros" -> int8(rows, cols, Math.min(cols, 64), true);
      case "int4" -> int4(rows, cols, Math.min(cols, 32), false);
      default -> int4(rows, cols, Math.min(cols, 64), true);
    };
  }

  private WeightMatrix dense(WeightFormat format, int rows, int cols) {
    MemorySegment data = arena.allocate(format.bytes((long) rows * cols), 4);
    for (int i = 0; i < rows * cols; i++) {
      float value = (float) random.nextGaussian();
      switch (format) {
        case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        case F16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(value));
        default ->
            data.setAtIndex(
                ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
      }
    }
    return WeightMatrix.dense(format, rows, cols, data);
  }

  private WeightMatrix fp8(int rows, int cols, int block) {
    BlockScaleLayout layout = BlockScaleLayout.square(rows, cols, block);
    MemorySegment data = arena.allocate(layout.weightBytes());
    MemorySegment scales = arena.allocate(layout.scaleBytes());
    BlockFp8Quantizer.quantize(gaussian(rows * cols), layout, data, scales);
    return WeightMatrix.blockFp8(layout, data, scales);
  }

  private WeightMatrix int8(int rows, int cols, int group, boolean zeros) {
    Int8Layout layout = new Int8Layout(rows, cols, group, WeightFormat.F32);
    return WeightMatrix.int8(
        layout,
        bytes(layout.weightBytes()),
        scales(layout.scaleBytes()),
        zeros ? bytes(layout.zeroBytes()) : null,
        null);
  }

  private WeightMatrix int4(int rows, int cols, int group, boolean zeros) {
    Int4Layout layout = new Int4Layout(rows, cols, group, WeightFormat.F32);
    MemorySegment data = bytes(layout.weightBytes());
    for (int r = 0; r < rows && cols % 2 == 1; r++) {
      long last = layout.byteIndex(r, cols - 1);
      data.set(ValueLayout.JAVA_BYTE, last, (byte) (data.get(ValueLayout.JAVA_BYTE, last) & 0xF));
    }
    MemorySegment points = zeros ? arena.allocate(layout.zeroBytes()) : null;
    for (long i = 0; points != null && i < layout.zeroBytes(); i++) {
      points.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt(16));
    }
    return WeightMatrix.int4(layout, data, scales(layout.scaleBytes()), points, null);
  }

  private MemorySegment bytes(long len) {
    byte[] values = new byte[Math.toIntExact(len)];
    random.nextBytes(values);
    return arena.allocateFrom(ValueLayout.JAVA_BYTE, values);
  }

  private MemorySegment scales(long bytes) {
    MemorySegment scales = arena.allocate(bytes, 4);
    for (long i = 0; i < bytes / 4; i++) {
      scales.setAtIndex(ValueLayout.JAVA_FLOAT, i, 0.001f + random.nextFloat() / 500);
    }
    return scales;
  }

  private float[] gaussian(int len) {
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private Matrix matrix(WeightMatrix source) {
    return Matrix.of(source, WeightPlacement.PACKED, ActivationMode.INTEGER, arena);
  }

  private Matrix matrix(String format, int rows, int cols) {
    return matrix(format, weights(format, rows, cols));
  }

  private Matrix matrix(String format, WeightMatrix source) {
    return format.equals("bf16 rows")
        ? Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.INTEGER, arena)
        : matrix(source);
  }

  private static Products products(int threads) {
    int cols = Products.padded(MOST_COLS);
    return new Products(threads, (long) MOST_TOKENS * cols, MOST_COLS);
  }

  private static int[] identity(int n) {
    return IntStream.range(0, n).toArray();
  }

  private static float[] multiply(Products products, Matrix matrix, float[] in, int n) {
    int rows = matrix.rows();
    float[] out = new float[n * rows];
    products.round(in, identity(n), matrix.cols(), 0, n);
    products.multiply(matrix, 0, rows, 0, n, out, 0, rows, 0);
    return out;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void aProductIsNearTheFloat64Sum(String format, int rows, int cols, int n) {
    WeightMatrix source = weights(format, rows, cols);
    float[] in = gaussian(n * cols);
    float[] got;
    try (Products products = products(1)) {
      got = multiply(products, matrix(format, source), in, n);
    }
    float[] row = new float[cols];
    for (int r = 0; r < rows; r++) {
      source.decodeRow(r, row, 0);
      for (int i = 0; i < n; i++) {
        double want = 0;
        double magnitude = REST;
        for (int c = 0; c < cols; c++) {
          double product = (double) row[c] * in[i * cols + c];
          want += product;
          magnitude += Math.abs(product);
        }
        assertThat(Math.abs(got[i * rows + r] - want))
            .as("row %d vector %d: %s, %s", r, i, got[i * rows + r], want)
            .isLessThanOrEqualTo(BOUND * magnitude);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void partsOfRowsAndVectorsOfTwoThreadsAreThoseOfAll(String format, int rows, int cols, int n)
      throws InterruptedException {
    Matrix matrix = matrix(format, rows, cols);
    float[] in = gaussian(n * cols);
    try (Products products = products(2)) {
      float[] want = multiply(products, matrix, in, n);
      float[] got = new float[1 + n * (rows + 3)];
      int middle = rows / 2;
      Thread other =
          Thread.ofPlatform()
              .start(() -> {
                products.multiply(matrix, middle, rows, 0, n, got, 1, rows + 3, 1);
              });
      products.multiply(matrix, 0, middle, 0, n, got, 1, rows + 3, 0);
      other.join();
      for (int i = 0; i < n; i++) {
        int at = 1 + i * (rows + 3);
        assertThat(Arrays.copyOfRange(got, at, at + rows))
            .isEqualTo(Arrays.copyOfRange(want, i * rows, (i + 1) * rows));
      }
      assertThat(got[0]).isZero();
    }
  }

  @Test
  void vectorsAreTakenFromTheRowsAndWhereTheyBegin() {
    Matrix matrix = matrix(dense(WeightFormat.BF16, 70, 100));
    float[] in = gaussian(40 * 100);
    try (Products products = products(1)) {
      float[] want = multiply(products, matrix, in, 40);
      int[] backwards = IntStream.range(0, 40).map(i -> 39 - i).toArray();
      products.round(in, backwards, 100, 0, 25);
      products.round(in, backwards, 100, 25, 40);
      float[] got = new float[20 * 70];
      products.multiply(matrix, 0, 70, 20, 20, got, 0, 70, 0);
      for (int i = 0; i < 20; i++) {
        assertThat(Arrays.copyOfRange(got, i * 70, (i + 1) * 70))
            .isEqualTo(Arrays.copyOfRange(want, (19 - i) * 70, (20 - i) * 70));
      }
    }
  }

  @Test
  void whatIsNotFiniteStaysInItsVector() {
    Matrix matrix = matrix(int8(64, 100, 100, false));
    float[] in = gaussian(17 * 100);
    try (Products products = products(1)) {
      float[] want = multiply(products, matrix, in, 17);
      in[3 * 100 + 7] = Float.NaN;
      in[5 * 100 + 99] = Float.POSITIVE_INFINITY;
      float[] got = multiply(products, matrix, in, 17);
      for (int i = 0; i < 17; i++) {
        float[] vector = Arrays.copyOfRange(got, i * 64, (i + 1) * 64);
        if (i == 3) {
          assertThat(vector).containsOnly(Float.NaN);
        } else if (i == 5) {
          for (float value : vector) {
            assertThat(Float.isFinite(value)).isFalse();
          }
        } else {
          assertThat(vector).isEqualTo(Arrays.copyOfRange(want, i * 64, (i + 1) * 64));
        }
      }
    }
  }

  @Test
  void capacitiesHoldTheirVectorsAndFewMore() {
    for (int m = 1; m <= 512; m++) {
      assertThat(Worker.capacity(m)).isBetween(m, m + 63);
      assertThat(Worker.capacity(Worker.capacity(m))).isEqualTo(Worker.capacity(m));
    }
  }
}
