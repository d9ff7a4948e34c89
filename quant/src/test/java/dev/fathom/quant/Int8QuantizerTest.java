package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class Int8QuantizerTest {
  private static WeightMatrix quantize(float[] w, Int8Layout layout) {
    return Int8Quantizer.quantize(RowReader.of(w, layout.cols()), layout, Arena.ofAuto());
  }

  @Test
  void aKnownRowHasTheKnownBytes() {
    float[] w = {1.27f, -1.27f, 0.635f, 0.004f, 0f, -0.126f};
    WeightMatrix matrix = quantize(w, Int8Layout.perChannel(1, 6, WeightFormat.F32));

    assertThat(matrix.data().toArray(ValueLayout.JAVA_BYTE))
        .containsExactly(127, -127, 64, 0, 0, -13);
    assertThat(Objects.requireNonNull(matrix.scales()).getAtIndex(Vectors.FLOAT, 0))
        .isEqualTo(1.27f / 127);
    assertThat(matrix.zeroPoints()).isNull();
    assertThat(matrix.format()).isEqualTo(WeightFormat.INT8);
  }

  @Test
  void eachWeightIsWithinHalfAScaleOfItsGroup() {
    int[][] shapes = {{1, 1, 1}, {13, 25, 25}, {25, 207, 32}, {6, 64, 64}, {576, 13, 5}};
    for (int[] shape : shapes) {
      float[] w = QuantizerAsserts.weights(shape[0] * shape[1], shape[1]);
      for (WeightFormat scale : QuantizerAsserts.SCALES) {
        WeightMatrix matrix = quantize(w, new Int8Layout(shape[0], shape[1], shape[2], scale));
        QuantizerAsserts.assertWithinHalfAScale(matrix, w);
        QuantizerAsserts.assertScales(matrix, w, 127, ZeroPoints.SYMMETRIC);
        for (byte code : matrix.data().toArray(ValueLayout.JAVA_BYTE)) {
          assertThat(code).isGreaterThanOrEqualTo((byte) -127);
        }
      }
    }
  }

  @Test
  void quantizingAQuantizedMatrixAgainChangesNothing() {
    float[] w = QuantizerAsserts.weights(13 * 40, 3);
    Int8Layout layout = new Int8Layout(13, 40, 8, WeightFormat.F16);
    WeightMatrix once = quantize(w, layout);
    WeightMatrix twice = Int8Quantizer.quantize(once::decodeRow, layout, Arena.ofAuto());

    SegmentAsserts.assertSame(twice.data(), once.data());
    SegmentAsserts.assertSame(twice.scales(), once.scales());
  }

  @Test
  void zerosTinyAndHugeWeightsSurvive() {
    float[] w = {0f, -0f, Float.MIN_VALUE, 0f, 1e38f, -1f};
    WeightMatrix matrix = quantize(w, new Int8Layout(1, 6, 2, WeightFormat.F32));

    assertThat(matrix.get(0, 0)).isZero();
    assertThat(Objects.requireNonNull(matrix.scales()).getAtIndex(Vectors.FLOAT, 0)).isEqualTo(1f);
    assertThat(matrix.get(0, 2)).isEqualTo(Float.MIN_VALUE);
    assertThat(matrix.get(0, 4) / 1e38f).isBetween(0.999f, 1.001f);
    assertThat(matrix.get(0, 5)).isZero();
  }

  @Test
  void weightsThatAreNotFiniteOrTooLargeForTheScaleAreRefused() {
    float[] bad = {1f, 2f, 3f, Float.NaN};
    assertThatThrownBy(() -> quantize(bad, Int8Layout.perChannel(2, 2, WeightFormat.F32)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be finite: weight[1, 1]=NaN");
    float[] huge = {1.27e9f};
    assertThatThrownBy(() -> quantize(huge, Int8Layout.perChannel(1, 1, WeightFormat.F16)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must fit F16: scale=" + 1.27e9f / 127);
    float[] largest = {Float.MAX_VALUE};
    assertThatThrownBy(() -> quantize(largest, Int8Layout.perChannel(1, 1, WeightFormat.F32)))
        .hasMessage("must fit F32: scale=" + Float.MAX_VALUE / 127);
  }

  @Test
  void theCompressedTensorsPackingOfAQuantizedMatrixDecodesAlike() {
    float[] w = QuantizerAsserts.weights(13 * 25, 3);
    WeightMatrix matrix = quantize(w, Int8Layout.perChannel(13, 25, WeightFormat.BF16));
    WeightMatrix packed = IntegerPacker.compressedTensors(matrix, Arena.ofAuto());

    assertThat(packed.packing()).isEqualTo(new PackedIntLayout(13, 25, 8, 25, WeightFormat.BF16));
    QuantizerAsserts.assertSameFloats(packed, matrix);
  }
}
