package dev.fathom.cpu.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.WeightPlacement;
import dev.fathom.quant.BlockFp8Quantizer;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.Mxfp4Layout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Products of every weight format against float64 sums over {@link WeightMatrix#decodeRow}. */
class MatrixTest {

  private static final int ROWS = 21;
  private static final int[] SIZES = {1, 4, 6, 13, 25, 207, 702, 2046};

  private final Random random = new Random(11);

  static Stream<Arguments> cases() {
    return Stream.of(WeightFormat.F32, WeightFormat.F16, WeightFormat.BF16, WeightFormat.FP8_E4M3)
        .flatMap(f -> IntStream.of(SIZES).mapToObj(cols -> Arguments.of(f, cols)));
  }

  private WeightMatrix weights(WeightFormat format, int cols) {
    if (format == WeightFormat.FP8_E4M3) {
      return fp8(cols, 128);
    }
    MemorySegment data = Arena.ofAuto().allocate(format.bytes((long) ROWS * cols), 2);
    for (int i = 0; i < ROWS * cols; i++) {
      float value = (float) random.nextGaussian();
      switch (format) {
        case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i, value);
        case F16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(value));
        default ->
            data.setAtIndex(
                ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
      }
    }
    return WeightMatrix.dense(format, ROWS, cols, data);
  }

  private WeightMatrix fp8(int cols, int block) {
    float[] values = gaussian(ROWS * cols);
    BlockScaleLayout layout = BlockScaleLayout.square(ROWS, cols, block);
    MemorySegment data = Arena.ofAuto().allocate(layout.weightBytes());
    MemorySegment scales = Arena.ofAuto().allocate(layout.scaleBytes());
    BlockFp8Quantizer.quantize(values, layout, data, scales);
    return WeightMatrix.blockFp8(layout, data, scales);
  }

  private float[] gaussian(int len) {
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static RowMatrix matrix(WeightMatrix source) {
    return (RowMatrix)
        Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.FLOAT, Arena.ofAuto());
  }

  private static float[] multiply(Matrix matrix, float[] in, int n, int from, int to) {
    int len = matrix.order().len(matrix.cols());
    float[] ordered = new float[n * len];
    for (int i = 0; i < n; i++) {
      matrix.order().arrange(in, i * matrix.cols(), ordered, i * len, matrix.cols());
    }
    Vectors vectors = new Vectors(ordered, len, IntStream.range(0, n).toArray());
    float[] out = new float[n * matrix.rows()];
    float[] lanes = new float[Matrix.scratchLen(matrix.cols())];
    matrix.multiply(from, to, vectors, 0, n, out, 0, matrix.rows(), lanes);
    return out;
  }

  private static void assertNear(WeightMatrix source, float[] in, int n, float[] got) {
    float[] row = new float[source.cols()];
    for (int r = 0; r < ROWS; r++) {
      source.decodeRow(r, row, 0);
      for (int i = 0; i < n; i++) {
        double want = 0;
        double magnitude = 1e-30;
        for (int c = 0; c < row.length; c++) {
          double product = (double) row[c] * in[i * row.length + c];
          want += product;
          magnitude += Math.abs(product);
        }
        assertThat((double) got[i * ROWS + r])
            .as("row %d vector %d", r, i)
            .isCloseTo(want, within(1e-6 * magnitude));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void aProductIsNearTheFloat64Sum(WeightFormat format, int cols) {
    WeightMatrix source = weights(format, cols);
    float[] in = gaussian(6 * cols);
    assertNear(source, in, 6, multiply(matrix(source), in, 6, 0, ROWS));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void manyVectorsGiveTheBitsOfOneAndPartsOfTheRowsThoseOfAll(WeightFormat format, int cols) {
    Matrix matrix = matrix(weights(format, cols));
    float[] in = gaussian(7 * cols);
    float[] all = multiply(matrix, in, 7, 0, ROWS);
    for (int i = 0; i < 7; i++) {
      float[] one = Arrays.copyOfRange(in, i * cols, (i + 1) * cols);
      float[] single = multiply(matrix, one, 1, 0, ROWS);
      float[] lower = multiply(matrix, one, 1, 0, 5);
      float[] upper = multiply(matrix, one, 1, 5, ROWS);
      for (int r = 0; r < ROWS; r++) {
        assertThat(single[r]).isEqualTo(all[i * ROWS + r]);
        assertThat(r < 5 ? lower[r] : upper[r]).isEqualTo(all[i * ROWS + r]);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = WeightFormat.class,
      names = {"F32", "F16", "BF16", "FP8_E4M3"})
  void blocksOfColumnsGiveTheBitsOfWholeRows(WeightFormat format) {
    for (int cols : new int[] {2048, 2300, 4173}) {
      assertManyHaveTheBitsOfOne(matrix(weights(format, cols)), 133);
    }
  }

  @Test
  void blocksOfManyRowsOfIntegersAndOfE2m1GiveTheBitsOfWholeRows() {
    int cols = 4100;
    Int8Layout eight = new Int8Layout(150, cols, 100, WeightFormat.F32);
    assertManyHaveTheBitsOfOne(
        matrix(
            WeightMatrix.int8(
                eight, bytes(eight.weightBytes(), 256), halves(eight.scaleBytes()), null, null)),
        70);
    Int8Layout wide = new Int8Layout(150, 4224, 128, WeightFormat.F32);
    assertManyHaveTheBitsOfOne(
        matrix(
            WeightMatrix.int8(
                wide, bytes(wide.weightBytes(), 256), halves(wide.scaleBytes()), null, null)),
        70);
    Mxfp4Layout four = new Mxfp4Layout(150, 4256);
    assertManyHaveTheBitsOfOne(
        matrix(
            WeightMatrix.mxfp4(
                four, bytes(four.weightBytes(), 256), bytes(four.scaleBytes(), 128))),
        70);
  }

  private MemorySegment bytes(long len, int bound) {
    MemorySegment data = Arena.ofAuto().allocate(len, 4);
    for (long i = 0; i < len; i++) {
      data.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt(bound));
    }
    return data;
  }

  private static MemorySegment halves(long len) {
    MemorySegment scales = Arena.ofAuto().allocate(len, 4);
    for (long i = 0; i < len / 4; i++) {
      scales.setAtIndex(ValueLayout.JAVA_FLOAT, i, 0.5f + i % 7);
    }
    return scales;
  }

  private void assertManyHaveTheBitsOfOne(RowMatrix matrix, int n) {
    int cols = matrix.cols();
    float[] in = gaussian(n * cols);
    float[] all = multiply(matrix, in, n, 0, matrix.rows());
    for (int i = 0; i < n; i++) {
      float[] one = Arrays.copyOfRange(in, i * cols, (i + 1) * cols);
      float[] got = Arrays.copyOfRange(all, i * matrix.rows(), (i + 1) * matrix.rows());
      assertThat(got)
          .as("%s, %d columns, vector %d", matrix.getClass().getSimpleName(), cols, i)
          .isEqualTo(multiply(matrix, one, 1, 0, matrix.rows()));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void rowsInNaturalOrderAreThoseOfTheStoredWeights(WeightFormat format, int cols) {
    WeightMatrix source = weights(format, cols);
    RowMatrix matrix = matrix(source);
    float[] got = new float[cols + 4];
    float[] want = new float[cols];
    for (int r = 0; r < ROWS; r++) {
      got[2] = -7f;
      got[3 + cols] = -7f;
      matrix.decodeNatural(r, got, 3);
      source.decodeRow(r, want, 0);
      assertThat(Arrays.copyOfRange(got, 3, 3 + cols)).as("row %d", r).isEqualTo(want);
      assertThat(got[2]).isEqualTo(-7f);
      assertThat(got[3 + cols]).isEqualTo(-7f);
    }
  }

  @Test
  void everyE4m3CodeIsExactWhateverItsPlaceAndNanStaysNan() {
    int cols = 256;
    BlockScaleLayout layout = BlockScaleLayout.square(1, cols, 128);
    MemorySegment scales = Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, 1f, 0.5f);
    for (boolean withNan : new boolean[] {false, true}) {
      MemorySegment data = Arena.ofAuto().allocate(cols);
      for (int c = 0; c < cols; c++) {
        boolean isNan = (c & 0x7F) == 0x7F;
        data.set(ValueLayout.JAVA_BYTE, c, (byte) (isNan && !withNan ? 0 : c));
      }
      WeightMatrix source = WeightMatrix.blockFp8(layout, data, scales);
      for (int c = 0; c < cols; c++) {
        float[] unit = new float[cols];
        unit[c] = 1;
        float got = multiply(matrix(source), unit, 1, 0, 1)[0];
        float want = withNan ? Float.NaN : source.get(0, c);
        boolean same = got == want || (Float.isNaN(got) && Float.isNaN(want));
        assertThat(same).as("code %d: expected %s, got %s", c, want, got).isTrue();
      }
    }
  }

  @Test
  void smallBlocksAndTinyActivationsOfE4m3StayExactEnough() {
    for (int block : List.of(32, 64, 128)) {
      WeightMatrix source = fp8(300, block);
      float[] in = gaussian(300);
      for (int i = 0; i < in.length; i++) {
        in[i] *= 1e-12f;
      }
      assertNear(source, in, 1, multiply(matrix(source), in, 1, 0, ROWS));
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = WeightFormat.class,
      names = {"BF16", "FP8_E4M3"})
  void sumsOfRowsHaveTheBitsOfDecodedRows(WeightFormat format) {
    RowMatrix matrix = matrix(weights(format, 512));
    assertThat(matrix.sumsRows(8)).isTrue();
    assertThat(matrix.sumsRows(7)).isFalse();
    assertSumsOfRows(matrix);
    assertThat(matrix(weights(format, 207)).sumsRows(8)).isFalse();
  }

  @ParameterizedTest
  @ValueSource(ints = {32, 128, 512})
  void sumsOfIntegerRowsHaveTheBitsOfDecodedRows(int group) {
    Int8Layout layout = new Int8Layout(ROWS, 512, group, WeightFormat.F32);
    MemorySegment data = Arena.ofAuto().allocate(layout.weightBytes());
    for (long i = 0; i < data.byteSize(); i++) {
      data.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt(256));
    }
    MemorySegment scales = Arena.ofAuto().allocate(layout.scaleBytes(), 4);
    for (long i = 0; i < scales.byteSize() / 4; i++) {
      scales.setAtIndex(ValueLayout.JAVA_FLOAT, i, random.nextFloat());
    }
    RowMatrix matrix = matrix(WeightMatrix.int8(layout, data, scales, null, null));
    if (matrix instanceof Int8Matrix) { // vectors of 128 bits have none
      assertThat(matrix.sumsRows(8)).isTrue();
      assertSumsOfRows(matrix);
    }
  }

  private void assertSumsOfRows(RowMatrix matrix) {
    int first = 3;
    int n = (ROWS - first) / 4 * 4;
    float[] x = gaussian(n + 2);
    float[] rows = new float[n * 512];
    for (int i = 0; i < n; i++) {
      matrix.decodeNatural(first + i, rows, i * 512);
    }
    float[] want = new float[512];
    new WeightedSum(n, 512, 512, 512).add(x, 2, rows, n, want, 0, 1);
    float[] got = gaussian(512 + 5);
    matrix.sumRows(first, n, x, 2, got, 5);
    assertThat(Arrays.copyOfRange(got, 5, 517)).isEqualTo(want);
  }
}
