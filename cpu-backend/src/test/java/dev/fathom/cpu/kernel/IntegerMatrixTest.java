package dev.fathom.cpu.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.WeightPlacement;
import dev.fathom.quant.E2m1;
import dev.fathom.quant.Int4Layout;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.Mxfp4Layout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Integer and four-bit weights, exact with float32 activations and, with rounded ones, what the
 * rounding says: products with the rounded activations in float64.
 */
class IntegerMatrixTest {

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The smallest float16, a negative one, zero and the largest one. */
  private static final short[] SCALES = {1, (short) 0xA123, 0, 0x7BFF};

  private final Random random = new Random(3);
  private final Arena arena = Arena.ofAuto();

  static Stream<Arguments> cases() {
    int[][] sizes = {
      {1, 1, 1},
      {7, 33, 33},
      {33, 64, 32},
      {31, 100, 32},
      {39, 257, 128},
      {32, 96, 96},
      {40, 200, 64},
      {5, 64, 16},
      {9, 45, 7}
    };
    return Stream.of(sizes)
        .flatMap(s ->
            IntStream.of(4, 8)
                .boxed()
                .flatMap(bits ->
                    Stream.of(true, false)
                        .map(zeros -> Arguments.of(bits, s[0], s[1], s[2], zeros))));
  }

  private WeightMatrix matrix(int bits, int rows, int cols, int group, boolean zeros) {
    if (bits == 4) {
      Int4Layout layout = new Int4Layout(rows, cols, group, WeightFormat.F16);
      MemorySegment data = bytes(layout.weightBytes());
      for (int r = 0; r < rows && cols % 2 == 1; r++) {
        long last = layout.byteIndex(r, cols - 1);
        byte both = data.get(ValueLayout.JAVA_BYTE, last);
        data.set(ValueLayout.JAVA_BYTE, last, (byte) (both & 0xF));
      }
      MemorySegment scales = arena.allocate(layout.scaleBytes());
      for (long i = 0; i < layout.scaleBytes() / 2; i++) {
        short scale = Float.floatToFloat16(0.01f + random.nextFloat() / 50);
        scales.setAtIndex(SHORT, i, i < SCALES.length ? SCALES[(int) i] : scale);
      }
      @Nullable MemorySegment points = zeros ? bytes(layout.zeroBytes()) : null;
      for (long i = 0; zeros && i < layout.zeroBytes(); i++) {
        points.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt(16));
      }
      return WeightMatrix.int4(layout, data, scales, points, null);
    }
    Int8Layout layout = new Int8Layout(rows, cols, group, WeightFormat.F32);
    MemorySegment data = bytes(layout.weightBytes());
    data.set(ValueLayout.JAVA_BYTE, 0, (byte) -128);
    MemorySegment scales = arena.allocate(layout.scaleBytes());
    for (long i = 0; i < layout.scaleBytes() / 4; i++) {
      scales.setAtIndex(FLOAT, i, 0.001f + random.nextFloat() / 500);
    }
    return WeightMatrix.int8(layout, data, scales, zeros ? bytes(layout.zeroBytes()) : null, null);
  }

  private MemorySegment bytes(long len) {
    byte[] values = new byte[Math.toIntExact(len)];
    random.nextBytes(values);
    return arena.allocateFrom(ValueLayout.JAVA_BYTE, values);
  }

  private float[] gaussian(int len) {
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (float) random.nextGaussian() * (i % 31 == 3 ? 20 : 1);
    }
    return values;
  }

  private static float[] multiply(Matrix matrix, float[] in, int n, int from, int to) {
    int len = matrix.order().len(matrix.cols());
    float[] ordered = new float[n * len];
    for (int i = 0; i < n; i++) {
      matrix.order().arrange(in, i * matrix.cols(), ordered, i * len, matrix.cols());
    }
    Vectors vectors = new Vectors(ordered, len, IntStream.range(0, n).toArray());
    float[] out = new float[n * matrix.rows()];
    float[] scratch = new float[Matrix.scratchLen(matrix.cols())];
    Arrays.fill(scratch, Float.NaN);
    matrix.multiply(from, to, vectors, 0, n, out, 0, matrix.rows(), scratch);
    return out;
  }

  private static void assertNear(WeightMatrix source, float[] in, int n, float[] got, double eps) {
    int cols = source.cols();
    for (int r = 0; r < source.rows(); r++) {
      for (int i = 0; i < n; i++) {
        double want = 0;
        double magnitude = 1e-30;
        for (int c = 0; c < cols; c++) {
          double product = (double) source.get(r, c) * in[i * cols + c];
          want += product;
          magnitude += Math.abs(product);
        }
        assertThat(Math.abs(got[i * source.rows() + r] - want))
            .as("row %d vector %d: %s", r, i, got[i * source.rows() + r])
            .isLessThanOrEqualTo(eps * magnitude);
      }
    }
  }

  /** What blocks of 32 activations become: multiples of their largest magnitude / 127. */
  private static float[] rounded(float[] in, int cols) {
    float[] out = new float[in.length];
    for (int row = 0; row < in.length; row += cols) {
      for (int c = 0; c < cols; c += 32) {
        int end = row + Math.min(cols, c + 32);
        float most = 0;
        for (int i = row + c; i < end; i++) {
          most = Math.max(most, Math.abs(in[i]));
        }
        for (int i = row + c; i < end && most > 0; i++) {
          out[i] = (float) (Math.rint(in[i] * (127f / most)) * (double) (most / 127f));
        }
      }
    }
    return out;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void withFloatActivationsProductsAreThoseOfTheDequantizedWeights(
      int bits, int rows, int cols, int group, boolean zeros) {
    WeightMatrix source = matrix(bits, rows, cols, group, zeros);
    Matrix exact = Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.FLOAT, arena);
    float[] in = gaussian(6 * cols);
    assertNear(source, in, 6, multiply(exact, in, 6, 0, rows), 1e-6);
    assertNear(source, in, 1, multiply(exact, in, 1, 0, rows), 1e-6);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void withIntegerActivationsProductsAreThoseOfTheRoundedActivations(
      int bits, int rows, int cols, int group, boolean zeros) {
    WeightMatrix source = matrix(bits, rows, cols, group, zeros);
    Matrix matrix = Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.INTEGER, arena);
    boolean isInteger = group == cols || group % 32 == 0;
    assertThat(matrix instanceof IntegerPanels).isEqualTo(isInteger);
    float[] in = gaussian(6 * cols);
    float[] want = isInteger ? rounded(in, cols) : in;
    // Zero points are subtracted from sums of the block, so its magnitude counts twice.
    assertNear(source, want, 6, multiply(matrix, in, 6, 0, rows), zeros ? 1e-5 : 1e-6);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void manyVectorsGiveTheBitsOfOneAndPartsOfTheRowsThoseOfAll(
      int bits, int rows, int cols, int group, boolean zeros) {
    WeightMatrix source = matrix(bits, rows, cols, group, zeros);
    for (ActivationMode mode : ActivationMode.values()) {
      Matrix matrix = Matrix.of(source, WeightPlacement.IN_PLACE, mode, arena);
      float[] in = gaussian(7 * cols);
      float[] all = multiply(matrix, in, 7, 0, rows);
      int cut = rows / 3;
      for (int i = 0; i < 7; i++) {
        float[] one = Arrays.copyOfRange(in, i * cols, (i + 1) * cols);
        float[] single = multiply(matrix, one, 1, 0, rows);
        float[] lower = multiply(matrix, one, 1, 0, cut);
        float[] upper = multiply(matrix, one, 1, cut, rows);
        for (int r = 0; r < rows; r++) {
          assertThat(single[r]).isEqualTo(all[i * rows + r]);
          assertThat(r < cut ? lower[r] : upper[r]).isEqualTo(all[i * rows + r]);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void repackedWeightsReadAsTheStoredOnesAndAreExactRowByRow(
      int bits, int rows, int cols, int group, boolean zeros) {
    WeightMatrix source = matrix(bits, rows, cols, group, zeros);
    for (ActivationMode mode : ActivationMode.values()) {
      Matrix matrix = Matrix.of(source, WeightPlacement.IN_PLACE, mode, arena);
      float[] got = new float[cols + 2];
      for (int r = 0; r < rows; r++) {
        matrix.reader(source).read(r, got, 2);
        for (int c = 0; c < cols; c++) {
          assertThat(got[2 + c]).isEqualTo(source.get(r, c));
        }
      }
      RowMatrix byRow = matrix.rowMajor(arena);
      for (int r = 0; r < rows; r++) {
        byRow.decodeNatural(r, got, 2);
        for (int c = 0; c < cols; c++) {
          assertThat(got[2 + c]).isEqualTo(source.get(r, c));
        }
      }
    }
  }

  @Test
  void theLargestCodesAndActivationsDoNotOverflow() {
    for (int bits : new int[] {4, 8}) {
      int cols = 96;
      long bytes = (long) cols * bits / 8;
      // Codes of 4 bits are -8 where the nibble is 0; those of 8 bits are stored signed.
      byte[] codes = new byte[(int) bytes];
      Arrays.fill(codes, (byte) (bits == 4 ? 0 : -128));
      MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_BYTE, codes);
      MemorySegment scale = arena.allocate(4);
      scale.set(FLOAT, 0, 1f);
      WeightMatrix source =
          bits == 4
              ? WeightMatrix.int4(
                  new Int4Layout(1, cols, cols, WeightFormat.F32), data, scale, null, null)
              : WeightMatrix.int8(
                  new Int8Layout(1, cols, cols, WeightFormat.F32), data, scale, null, null);
      float[] in = new float[cols];
      Arrays.fill(in, -5f);
      float[] got =
          multiply(
              Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.INTEGER, arena),
              in,
              1,
              0,
              1);
      double want = 5.0 * cols * (bits == 4 ? 8 : 128);
      assertThat(Math.abs(got[0] - want)).isLessThan(1e-6 * want);
    }
  }

  static Stream<Arguments> exactSizes() {
    return IntStream.of(4, 8)
        .boxed()
        .flatMap(bits ->
            Stream.of(
                Arguments.of(bits, 32, 32),
                Arguments.of(bits, 160, 160),
                Arguments.of(bits, 160, 32),
                Arguments.of(bits, 416, 64)));
  }

  /**
   * With scales of 1, and 127 as each block's largest activation, products are integers that
   * float32 holds exactly, whatever the intermediate sums are modulo 2^16.
   */
  @ParameterizedTest
  @MethodSource("exactSizes")
  void productsOfCodesAndBytesAreExactInEveryRowAndColumn(int bits, int cols, int group) {
    int rows = 75;
    int least = bits == 4 ? -8 : -128;
    int[][] codes = new int[rows][cols];
    for (int[] row : codes) {
      Arrays.setAll(row, c -> extremeOr(least, -least - 1));
    }
    WeightMatrix source = ofCodes(bits, codes, group);
    float[] in = new float[5 * cols];
    for (int i = 0; i < in.length; i++) {
      in[i] = i % 32 == 31 ? 127 : extremeOr(-127, 127);
    }
    Matrix matrix = Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.INTEGER, arena);
    assertThat(matrix).isInstanceOf(IntegerPanels.class);
    int[][] parts = {{0, rows}, {0, 3}, {5, 31}, {29, 66}, {32, 64}, {64, rows}, {70, 71}};
    for (int[] part : parts) {
      float[] got = multiply(matrix, in, 5, part[0], part[1]);
      for (int i = 0; i < 5; i++) {
        for (int r = part[0]; r < part[1]; r++) {
          long want = 0;
          for (int c = 0; c < cols; c++) {
            want += (long) codes[r][c] * (long) in[i * cols + c];
          }
          assertThat(got[i * rows + r]).as("vector %d, row %d", i, r).isEqualTo((float) want);
        }
      }
    }
  }

  /** Returns the least, the most or a number between them. */
  private int extremeOr(int least, int most) {
    return switch (random.nextInt(3)) {
      case 0 -> least;
      case 1 -> most;
      default -> least + random.nextInt(most - least + 1);
    };
  }

  /** Returns a matrix of integers with scales of 1. */
  private WeightMatrix ofCodes(int bits, int[][] codes, int group) {
    int rows = codes.length;
    int cols = codes[0].length;
    Int4Layout four = new Int4Layout(rows, cols, group, WeightFormat.F32);
    Int8Layout eight = new Int8Layout(rows, cols, group, WeightFormat.F32);
    MemorySegment data = arena.allocate(bits == 4 ? four.weightBytes() : eight.weightBytes());
    MemorySegment scales = arena.allocate(bits == 4 ? four.scaleBytes() : eight.scaleBytes());
    for (long i = 0; i < scales.byteSize() / Float.BYTES; i++) {
      scales.setAtIndex(FLOAT, i, 1f);
    }
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < cols; c++) {
        long at = bits == 4 ? four.byteIndex(r, c) : eight.byteIndex(r, c);
        int before = data.get(ValueLayout.JAVA_BYTE, at);
        int now = bits == 8 ? codes[r][c] : before | (codes[r][c] + 8) << Int4Layout.shift(c);
        data.set(ValueLayout.JAVA_BYTE, at, (byte) now);
      }
    }
    return bits == 4
        ? WeightMatrix.int4(four, data, scales, null, null)
        : WeightMatrix.int8(eight, data, scales, null, null);
  }

  @Test
  void activationsThatAreNotFiniteGiveNanAndZerosGiveZero() {
    WeightMatrix source = matrix(8, 3, 64, 64, false);
    Matrix matrix = Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.INTEGER, arena);
    float[] in = new float[64];
    assertThat(multiply(matrix, in, 1, 0, 3)).containsOnly(0f);
    in[40] = Float.NaN;
    assertThat(multiply(matrix, in, 1, 0, 3)).containsOnly(Float.NaN);
    in[40] = Float.POSITIVE_INFINITY;
    assertThat(multiply(matrix, in, 1, 0, 3)).containsOnly(Float.NaN);
    in[40] = 1e-42f;
    for (float value : multiply(matrix, in, 1, 0, 3)) {
      assertThat(Math.abs(value)).isLessThan(1e-40f);
    }
  }

  @Test
  void everyE2m1CodeAndEveryBearableScaleIsExactAndLargerOnesAreToo() {
    for (int exponent : new int[] {0, 60, 192, 193, 250}) {
      int cols = 160;
      Mxfp4Layout layout = new Mxfp4Layout(2, cols);
      byte[] codes = new byte[(int) layout.weightBytes()];
      for (int i = 0; i < codes.length; i++) {
        codes[i] = E2m1.pack(i % 16, (i * 7 + 3) % 16);
      }
      byte[] scales = new byte[(int) layout.scaleBytes()];
      for (int i = 0; i < scales.length; i++) {
        scales[i] = (byte) Math.max(0, exponent - i % 5);
      }
      WeightMatrix source =
          WeightMatrix.mxfp4(
              layout,
              arena.allocateFrom(ValueLayout.JAVA_BYTE, codes),
              arena.allocateFrom(ValueLayout.JAVA_BYTE, scales));
      Matrix matrix = Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.FLOAT, arena);
      for (int c = 0; c < cols; c++) {
        float[] unit = new float[cols];
        unit[c] = 1;
        float[] got = multiply(matrix, unit, 1, 0, 2);
        float[] panel = multiply(matrix, Arrays.copyOf(unit, 2 * cols), 2, 0, 2);
        for (int r = 0; r < 2; r++) {
          float want = source.get(r, c);
          // Below the normal numbers nothing is promised.
          float allowed = Math.abs(want) < 0x1p-120f ? 0x1p-120f : 0f;
          assertThat(Math.abs(got[r] - want))
              .as("%d,%d: %s", r, c, want)
              .isLessThanOrEqualTo(allowed);
          assertThat(panel[r]).isEqualTo(got[r]);
        }
      }
    }
  }

  @Test
  void mxfp4ProductsOfManyVectorsAreNearTheFloat64Sum() {
    for (int cols : new int[] {32, 96, 128, 416, 1024}) {
      Mxfp4Layout layout = new Mxfp4Layout(21, cols);
      byte[] scales = new byte[(int) layout.scaleBytes()];
      for (int i = 0; i < scales.length; i++) {
        scales[i] = (byte) (115 + random.nextInt(10));
      }
      WeightMatrix source =
          WeightMatrix.mxfp4(
              layout,
              bytes(layout.weightBytes()),
              arena.allocateFrom(ValueLayout.JAVA_BYTE, scales));
      Matrix matrix = Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.FLOAT, arena);
      float[] in = gaussian(6 * cols);
      float[] got = multiply(matrix, in, 6, 0, 21);
      assertNear(source, in, 6, got, 1e-6);
      float[] one = multiply(matrix, Arrays.copyOf(in, cols), 1, 0, 21);
      assertThat(one).isEqualTo(Arrays.copyOf(got, 21));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void scalesThatAreNoHalvesGiveTheBitsOfHalves(
      int bits, int rows, int cols, int group, boolean zeros) {
    if (bits != 4) {
      return;
    }
    WeightMatrix halves = matrix(bits, rows, cols, group, zeros);
    Int4Layout layout = new Int4Layout(rows + 1, cols, group, WeightFormat.F32);
    MemorySegment data = bytes(layout.weightBytes());
    data.copyFrom(halves.data());
    MemorySegment scales = arena.allocate(layout.scaleBytes());
    long numScales = halves.scales().byteSize() / 2;
    for (long i = 0; i < layout.scaleBytes() / 4; i++) {
      float scale = Float.float16ToFloat(halves.scales().getAtIndex(SHORT, i % numScales));
      scales.setAtIndex(FLOAT, i, i < numScales ? scale : 0.1f);
    }
    @Nullable MemorySegment points = zeros ? bytes(layout.zeroBytes()) : null;
    if (points != null) {
      points.copyFrom(halves.zeroPoints());
    }
    Matrix wide =
        Matrix.of(
            WeightMatrix.int4(layout, data, scales, points, null),
            WeightPlacement.IN_PLACE,
            ActivationMode.INTEGER,
            arena);
    Matrix narrow = Matrix.of(halves, WeightPlacement.IN_PLACE, ActivationMode.INTEGER, arena);
    for (int n : new int[] {1, 6}) {
      float[] in = gaussian(n * cols);
      float[] got = multiply(narrow, in, n, 0, rows);
      float[] want = multiply(wide, in, n, 0, rows + 1);
      for (int i = 0; i < n; i++) {
        assertThat(Arrays.copyOfRange(got, i * rows, (i + 1) * rows))
            .isEqualTo(Arrays.copyOfRange(want, i * (rows + 1), i * (rows + 1) + rows));
      }
    }
  }
}
