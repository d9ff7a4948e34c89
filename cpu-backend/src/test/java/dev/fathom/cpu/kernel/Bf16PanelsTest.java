package dev.fathom.cpu.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.WeightPlacement;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Products of packed bfloat16 rows, bit for bit what their definition says, computed here without
 * vectors: so they are the same at every vector width and for any number of vectors.
 */
class Bf16PanelsTest {

  private final Random random = new Random(17);

  static Stream<Arguments> shapes() {
    int[][] shapes = {
      {32, 1},
      {32, 2},
      {33, 31},
      {40, 256},
      {64, 257},
      {96, 512},
      {130, 700},
      {257, 1407},
      {320, 64}
    };
    return Stream.of(shapes).map(s -> Arguments.of(s[0], s[1]));
  }

  private WeightMatrix weights(int rows, int cols) {
    MemorySegment data = Arena.ofAuto().allocate(2L * rows * cols, 2);
    for (int i = 0; i < rows * cols; i++) {
      int bits = Float.floatToRawIntBits((float) random.nextGaussian());
      data.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
    }
    return WeightMatrix.dense(WeightFormat.BF16, rows, cols, data);
  }

  private float[] gaussian(int len) {
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static Matrix packed(WeightMatrix source) {
    return Matrix.of(source, WeightPlacement.PACKED, ActivationMode.AUTO, Arena.ofAuto());
  }

  /** Sums of 256 columns, each from zero on in rising order, added in rising order. */
  private static float product(WeightMatrix weights, int r, float[] in, int i) {
    float[] row = new float[weights.cols()];
    weights.decodeRow(r, row, 0);
    float total = 0;
    for (int from = 0; from < row.length; from += 256) {
      float sum = 0;
      for (int c = from; c < Math.min(row.length, from + 256); c++) {
        sum = Math.fma(row[c], in[i * row.length + c], sum);
      }
      total += sum;
    }
    return total;
  }

  /** Multiplies vectors that lie in another order than they are asked for. */
  private static float[] multiply(Matrix matrix, float[] in, int n, int from, int to) {
    int cols = matrix.cols();
    float[] data = new float[3 + n * cols];
    for (int i = 0; i < n; i++) {
      System.arraycopy(in, i * cols, data, 3 + (n - 1 - i) * cols, cols);
    }
    int[] places = IntStream.range(-1, n).map(i -> n - 1 - i).toArray();
    Vectors vectors = new Vectors(data, cols, places, 3);
    float[] out = new float[n * matrix.rows()];
    Arrays.fill(out, -7f);
    float[] scratch = new float[Matrix.scratchLen(cols)];
    Arrays.fill(scratch, Float.NaN);
    matrix.multiply(from, to, vectors, 1, n, out, 0, matrix.rows(), scratch);
    return out;
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void productsAreTheSumsOfTheirBlocksForAnyNumberOfVectorsAndAnyRows(int rows, int cols) {
    WeightMatrix source = weights(rows, cols);
    Matrix matrix = packed(source);
    assertThat(matrix).isInstanceOf(Bf16Panels.class);
    float[] in = gaussian(70 * cols);
    float[][] want = new float[70][rows];
    for (int i = 0; i < 70; i++) {
      for (int r = 0; r < rows; r++) {
        want[i][r] = product(source, r, in, i);
      }
    }
    int[][] parts = {{0, rows}, {1, rows}, {0, rows - 1}, {5, 20}, {17, Math.min(rows, 35)}};
    boolean scalar = ScalarStart.set(false);
    try {
      for (boolean isScalar : new boolean[] {false, true}) {
        ScalarStart.set(isScalar);
        for (int n : new int[] {1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 64, 65, 70}) {
          for (int[] part : parts) {
            float[] got = multiply(matrix, in, n, part[0], part[1]);
            for (int i = 0; i < n; i++) {
              float[] expected = new float[rows];
              Arrays.fill(expected, -7f);
              System.arraycopy(want[i], part[0], expected, part[0], part[1] - part[0]);
              assertThat(Arrays.copyOfRange(got, i * rows, (i + 1) * rows))
                  .as("vector %d of %d, rows %d to %d", i, n, part[0], part[1])
                  .isEqualTo(expected);
            }
          }
        }
      }
    } finally {
      ScalarStart.set(scalar);
    }
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void rowsAreReadAsTheyWereStoredAlsoWhenTheyAreBroughtBackIntoRows(int rows, int cols) {
    WeightMatrix source = weights(rows, cols);
    Matrix matrix = packed(source);
    RowMatrix back = matrix.rowMajor(Arena.ofAuto());
    float[] want = new float[cols];
    for (int r = 0; r < rows; r++) {
      source.decodeRow(r, want, 0);
      float[] got = new float[cols + 5];
      matrix.reader(source).read(r, got, 2);
      assertThat(Arrays.copyOfRange(got, 2, 2 + cols)).as("row %d", r).isEqualTo(want);
      back.decodeNatural(r, got, 4);
      assertThat(Arrays.copyOfRange(got, 4, 4 + cols)).as("row %d", r).isEqualTo(want);
    }
  }

  @Test
  void infinityAndNanStayInTheirRowsAndVectors() {
    int rows = 64;
    int cols = 301;
    MemorySegment data = Arena.ofAuto().allocate(2L * rows * cols, 2);
    data.copyFrom(weights(rows, cols).data());
    data.setAtIndex(ValueLayout.JAVA_SHORT, 40L * cols + 300, (short) 0x7F80);
    WeightMatrix source = WeightMatrix.dense(WeightFormat.BF16, rows, cols, data);
    float[] in = gaussian(9 * cols);
    in[4 * cols + 7] = Float.NaN;
    for (int n : new int[] {1, 2, 9}) {
      float[] got = multiply(packed(source), in, n, 0, rows);
      for (int i = 0; i < n; i++) {
        for (int r = 0; r < rows; r++) {
          assertThat(Float.isNaN(got[i * rows + r])).isEqualTo(i == 4);
          assertThat(Float.isInfinite(got[i * rows + r])).isEqualTo(i != 4 && r == 40);
        }
      }
    }
  }

  @Test
  void weightsThatAreToStayOrFillNoPanelAreReadWhereTheyLie() {
    WeightMatrix source = weights(40, 64);
    WeightMatrix small = weights(31, 64);
    Arena arena = Arena.ofAuto();
    assertThat(Matrix.of(source, WeightPlacement.IN_PLACE, ActivationMode.AUTO, arena))
        .isInstanceOf(Bf16Matrix.class);
    assertThat(packed(small)).isInstanceOf(Bf16Matrix.class);
    assertThat(Matrix.repacks(WeightFormat.BF16, 31, WeightPlacement.PACKED)).isFalse();
    assertThat(Matrix.repacks(WeightFormat.BF16, 32, WeightPlacement.PACKED)).isTrue();
    assertThat(Matrix.repacks(WeightFormat.BF16, 32, WeightPlacement.IN_PLACE)).isFalse();
  }

  @Test
  void bytesAreThoseOfPaddedPanels() {
    assertThat(Matrix.bf16Bytes(33, 65)).isEqualTo(2L * 64 * 96);
  }
}
