package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class Int4QuantizerTest {
  private static WeightMatrix quantize(float[] w, int cols, Int4Recipe recipe, ClipSearch clip) {
    return Int4Quantizer.quantize(
        RowReader.of(w, cols), w.length / cols, cols, recipe, clip, Arena.ofAuto());
  }

  private static WeightMatrix quantize(float[] w, int cols, Int4Recipe recipe) {
    return Int4Quantizer.quantize(
        RowReader.of(w, cols), w.length / cols, cols, recipe, Arena.ofAuto());
  }

  @Test
  void aKnownSymmetricRowHasTheKnownNibbles() {
    float[] w = {0.7f, -0.7f, 0.1f, 0.26f, 0f};
    WeightMatrix matrix = quantize(w, 5, new Int4Recipe(5, ZeroPoints.SYMMETRIC, WeightFormat.F32));

    assertThat(matrix.data().toArray(ValueLayout.JAVA_BYTE))
        .containsExactly((byte) 0x1F, (byte) 0xB9, (byte) 0x08);
    assertThat(matrix.zeroPoints()).isNull();
    assertThat(QuantizerAsserts.scale(matrix, 0, 0)).isEqualTo(0.7f / 7);
  }

  @Test
  void aKnownAsymmetricRowHasTheKnownNibblesAndZero() {
    float[] w = {-0.5f, 1f, 0f, 0.31f};
    WeightMatrix matrix =
        quantize(w, 4, new Int4Recipe(4, ZeroPoints.ASYMMETRIC, WeightFormat.F32));

    assertThat(QuantizerAsserts.scale(matrix, 0, 0)).isEqualTo(0.1f);
    assertThat(Objects.requireNonNull(matrix.zeroPoints()).toArray(ValueLayout.JAVA_BYTE))
        .containsExactly(5);
    assertThat(matrix.data().toArray(ValueLayout.JAVA_BYTE))
        .containsExactly((byte) 0xF0, (byte) 0x85);
    assertThat(matrix.get(0, 2)).isZero();
  }

  @Test
  void eachWeightIsWithinHalfAScaleOfItsGroup() {
    int[][] shapes = {{1, 1, 1}, {13, 25, 25}, {25, 207, 32}, {6, 256, 64}, {2, 576, 128}};
    for (int[] shape : shapes) {
      float[] w = QuantizerAsserts.weights(shape[0] * shape[1], shape[1]);
      for (WeightFormat scale : QuantizerAsserts.SCALES) {
        for (ZeroPoints zeros : ZeroPoints.values()) {
          WeightMatrix matrix = quantize(w, shape[1], new Int4Recipe(shape[2], zeros, scale));
          QuantizerAsserts.assertWithinHalfAScale(matrix, w);
          int steps = zeros == ZeroPoints.SYMMETRIC ? 7 : 15;
          QuantizerAsserts.assertScales(matrix, w, steps, zeros);
        }
      }
    }
  }

  @Test
  void oneSidedGroupsKeepZeroInTheirRange() {
    float[] w = {3f, 5f, 4f, 4.5f, -3f, -5f, -4f, -4.5f, 0f, 0f, 0f, -0f};
    for (ZeroPoints zeros : ZeroPoints.values()) {
      WeightMatrix matrix = quantize(w, 12, new Int4Recipe(4, zeros, WeightFormat.F16));
      QuantizerAsserts.assertWithinHalfAScale(matrix, w);
      assertThat(QuantizerAsserts.scale(matrix, 0, 8)).isEqualTo(1f);
      for (int c = 8; c < 12; c++) {
        assertThat(matrix.get(0, c)).isZero();
      }
    }
  }

  @Test
  void asymmetricGridsAreFinerOnShiftedWeights() {
    float[] w = QuantizerAsserts.weights(16 * 64, 4);
    for (int i = 0; i < w.length; i++) {
      w[i] += 0.1f;
    }
    double symmetric =
        squares(quantize(w, 64, new Int4Recipe(32, ZeroPoints.SYMMETRIC, WeightFormat.F16)), w);
    double asymmetric =
        squares(quantize(w, 64, new Int4Recipe(32, ZeroPoints.ASYMMETRIC, WeightFormat.F16)), w);
    assertThat(asymmetric).isLessThan(symmetric);
  }

  private static double squares(WeightMatrix matrix, float[] w) {
    double sum = 0;
    for (int i = 0; i < w.length; i++) {
      double error = w[i] - matrix.get(i / matrix.cols(), i % matrix.cols());
      sum += error * error;
    }
    return sum;
  }

  @Test
  void quantizingASymmetricMatrixAgainChangesNothing() {
    float[] w = QuantizerAsserts.weights(13 * 40, 3);
    Int4Recipe recipe = new Int4Recipe(8, ZeroPoints.SYMMETRIC, WeightFormat.F16);
    WeightMatrix once = quantize(w, 40, recipe);
    WeightMatrix twice = Int4Quantizer.quantize(once::decodeRow, 13, 40, recipe, Arena.ofAuto());

    SegmentAsserts.assertSame(twice.data(), once.data());
    SegmentAsserts.assertSame(twice.scales(), once.scales());
  }

  @Test
  void clippingFindsTheBestRatioOfItsGridForEachGroup() {
    float[] w = QuantizerAsserts.weights(5 * 64, 17);
    float[] importance = new float[64];
    for (int c = 0; c < 64; c++) {
      importance[c] = 0.1f + (c * 7 % 11);
    }
    for (ZeroPoints zeros : ZeroPoints.values()) {
      Int4Recipe recipe = new Int4Recipe(32, zeros, WeightFormat.F16);
      ErrorLoss loss = ErrorLoss.weighted(importance);
      WeightMatrix clipped = quantize(w, 64, recipe, ClipSearch.of(loss));
      int better = 0;
      for (int r = 0; r < 5; r++) {
        for (int from = 0; from < 64; from += 32) {
          double[] brute = new double[11];
          for (int i = 0; i <= 10; i++) {
            brute[i] = bruteLoss(w, importance, r * 64 + from, from, (20 - i) / 20f, zeros);
          }
          double chosen = 0;
          for (int c = from; c < from + 32; c++) {
            double error = w[r * 64 + c] - clipped.get(r, c);
            chosen += importance[c] * error * error;
          }
          double best = Arrays.stream(brute).min().getAsDouble();
          assertThat(chosen).isCloseTo(best, within(best * 1e-6));
          better += best < 0.99 * brute[0] ? 1 : 0;
        }
      }
      assertThat(better).as("groups that gained by clipping").isPositive();
    }
  }

  /** The loss of 32 weights whose range is shrunk, in plain double arithmetic. */
  private static double bruteLoss(
      float[] w, float[] importance, int at, int column, float ratio, ZeroPoints zeros) {
    double low = 0;
    double high = 0;
    for (int i = 0; i < 32; i++) {
      low = Math.min(low, w[at + i]);
      high = Math.max(high, w[at + i]);
    }
    low *= ratio;
    high *= ratio;
    boolean symmetric = zeros == ZeroPoints.SYMMETRIC;
    double exact = symmetric ? Math.max(-low, high) / 7 : (high - low) / 15;
    double scale = Float.float16ToFloat(Float.floatToFloat16((float) exact));
    if (scale < (float) exact) {
      scale = Float.float16ToFloat((short) (Float.floatToFloat16((float) exact) + 1));
    }
    double zero = symmetric ? 8 : Math.rint(-low / scale);
    double sum = 0;
    for (int i = 0; i < 32; i++) {
      double code = Math.max(0, Math.min(15, Math.rint(w[at + i] / scale) + zero));
      double error = w[at + i] - (float) ((code - zero) * scale);
      sum += importance[column + i] * error * error;
    }
    return sum;
  }

  @Test
  void clippingIsNeverWorseThanTheWholeRange() {
    float[] w = QuantizerAsserts.weights(8 * 96, 23);
    Int4Recipe recipe = new Int4Recipe(32, ZeroPoints.ASYMMETRIC, WeightFormat.F16);
    double plain = squares(quantize(w, 96, recipe), w);
    double clipped = squares(quantize(w, 96, recipe, ClipSearch.of(ErrorLoss.squares())), w);

    assertThat(clipped).isLessThan(plain);
    assertThat(ClipSearch.of(ErrorLoss.squares()).candidates()).isEqualTo(11);
    assertThat(ClipSearch.NONE.candidates()).isEqualTo(1);
    assertThat(new ClipSearch(ErrorLoss.squares(), Float.MIN_VALUE).candidates()).isEqualTo(20);
    assertThatThrownBy(() -> new ClipSearch(ErrorLoss.squares(), 0f))
        .hasMessage("must be in (0, 1]: smallest=0.0");
    assertThatThrownBy(() -> new ClipSearch(ErrorLoss.squares(), Float.NaN))
        .hasMessage("must be in (0, 1]: smallest=NaN");
  }

  @Test
  void aQuantizedMatrixDecodesAlikeInAllPublishedPackings() {
    float[] w = QuantizerAsserts.weights(24 * 96, 5);
    for (ZeroPoints zeros : ZeroPoints.values()) {
      WeightMatrix matrix = quantize(w, 96, new Int4Recipe(32, zeros, WeightFormat.F16));
      WeightMatrix awq = IntegerPacker.awq(matrix, Arena.ofAuto());
      WeightMatrix packed = IntegerPacker.compressedTensors(matrix, Arena.ofAuto());

      QuantizerAsserts.assertSameFloats(awq, matrix);
      QuantizerAsserts.assertSameFloats(packed, matrix);
      assertThat(packed.zeroPoints() == null).isEqualTo(zeros == ZeroPoints.SYMMETRIC);
      SegmentAsserts.assertSame(awq.repack(Arena.ofAuto()).data(), matrix.data());
    }
  }

  @Test
  void groupsThatAwqCannotHoldAreRefusedByItsPacker() {
    float[] w = QuantizerAsserts.weights(8 * 40, 5);
    WeightMatrix matrix =
        quantize(w, 40, new Int4Recipe(32, ZeroPoints.SYMMETRIC, WeightFormat.F16));
    assertThatThrownBy(() -> IntegerPacker.awq(matrix, Arena.ofAuto()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be a multiple of 32: cols=40");
    int fitting = GroupSize.fit(32, 40);
    WeightMatrix fits =
        quantize(w, 40, new Int4Recipe(fitting, ZeroPoints.SYMMETRIC, WeightFormat.F16));
    QuantizerAsserts.assertSameFloats(IntegerPacker.awq(fits, Arena.ofAuto()), fits);
  }

  @Test
  void weightsThatAreNotFiniteAreRefusedWithTheirPlace() {
    float[] w = {1f, 2f, Float.POSITIVE_INFINITY, 4f};
    Int4Recipe recipe = new Int4Recipe(2, ZeroPoints.SYMMETRIC, WeightFormat.F16);
    assertThatThrownBy(() -> quantize(w, 2, recipe))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be finite: weight[1, 0]=Infinity");
    assertThatThrownBy(() -> new Int4Recipe(0, ZeroPoints.SYMMETRIC, WeightFormat.F16))
        .hasMessage("must be >= 1: groupSize=0");
    assertThatThrownBy(() -> new Int4Recipe(8, ZeroPoints.SYMMETRIC, WeightFormat.INT4))
        .hasMessage("must be F32, F16 or BF16: scaleFormat=INT4");
    assertThatThrownBy(() -> ErrorLoss.weighted(new float[] {1f, -1f}))
        .hasMessage("must be >= 0: importance[1]=-1.0");
  }
}
