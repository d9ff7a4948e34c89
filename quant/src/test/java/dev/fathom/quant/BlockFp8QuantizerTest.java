package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.quant.BlockFp8Quantizer.ScaleRounding;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class BlockFp8QuantizerTest {
  private static MemorySegment bytes(long size) {
    return MemorySegment.ofArray(new byte[Math.toIntExact(size)]);
  }

  private static WeightMatrix quantize(float[] w, BlockScaleLayout layout, ScaleRounding rounding) {
    MemorySegment data = bytes(layout.weightBytes());
    MemorySegment scales = bytes(layout.scaleBytes());
    int cols = layout.cols();
    BlockFp8Quantizer.quantize(
        (r, out, off) -> System.arraycopy(w, r * cols, out, off, cols),
        layout,
        rounding,
        data,
        scales);
    return WeightMatrix.blockFp8(layout, data, scales);
  }

  private static float scaleOf(WeightMatrix matrix, int index) {
    MemorySegment scales = matrix.scales();
    assertThat(scales).isNotNull();
    return scales == null ? Float.NaN : scales.getAtIndex(Vectors.FLOAT, index);
  }

  @Test
  void oneBlockWithAFloatScaleHasTheKnownBytes() {
    float[] x = Vectors.sines(8, 1.1, 3.3);
    WeightMatrix matrix = quantize(x, new BlockScaleLayout(1, 8, 1, 8), ScaleRounding.FLOAT32);

    assertThat(scaleOf(matrix, 0)).isCloseTo(0.007278918f, within(1e-9f));
    assertThat(matrix.data().toArray(ValueLayout.JAVA_BYTE))
        .containsExactly(0x7d, 0x7b, 0xe9, 0xfd, 0xfa, 0x71, 0x7e, 0x78);
    float[] expected = {
      3.02803f, 2.562179f, -0.5240821f, -3.02803f, -2.329254f, 1.048164f, 3.260955f, 1.863403f
    };
    for (int c = 0; c < 8; c++) {
      assertThat(matrix.get(0, c)).isCloseTo(expected[c], within(1e-6f));
    }
  }

  @Test
  void oneBlockWithAPowerOfTwoScaleHasTheKnownBytes() {
    float[] x = Vectors.sines(8, 1.1, 3.3);
    WeightMatrix matrix = quantize(x, new BlockScaleLayout(1, 8, 1, 8), ScaleRounding.POWER_OF_TWO);

    assertThat(scaleOf(matrix, 0)).isEqualTo(0.0078125f);
    assertThat(matrix.data().toArray(ValueLayout.JAVA_BYTE))
        .containsExactly(0x7c, 0x7b, 0xe8, 0xfd, 0xf9, 0x70, 0x7d, 0x77);
    float[] row = new float[8];
    matrix.decodeRow(0, row, 0);
    assertThat(row).containsExactly(3f, 2.75f, -0.5f, -3.25f, -2.25f, 1f, 3.25f, 1.875f);
  }

  @Test
  void eachBlockIsScaledByItsOwnMaximumEvenAtPartialEdges() {
    SplittableRandom random = new SplittableRandom(21);
    int[][] shapes = {{576, 40, 128, 128}, {5, 7, 2, 3}, {1, 1, 128, 128}, {207, 25, 64, 13}};
    for (int[] shape : shapes) {
      BlockScaleLayout layout = new BlockScaleLayout(shape[0], shape[1], shape[2], shape[3]);
      float[] w = new float[Math.toIntExact(layout.weightBytes())];
      for (int i = 0; i < w.length; i++) {
        w[i] = (float) (random.nextGaussian() * Math.exp(random.nextDouble(-9, 3)));
      }
      for (ScaleRounding rounding : ScaleRounding.values()) {
        assertRoundTrip(w, layout, rounding);
      }
    }
  }

  private static void assertRoundTrip(float[] w, BlockScaleLayout layout, ScaleRounding rounding) {
    WeightMatrix matrix = quantize(w, layout, rounding);
    float[] maxima = new float[layout.scaleRows() * layout.scaleCols()];
    for (int i = 0; i < w.length; i++) {
      int block =
          i / layout.cols() / layout.blockRows() * layout.scaleCols()
              + i % layout.cols() / layout.blockCols();
      maxima[block] = Math.max(maxima[block], Math.abs(w[i]));
    }
    for (int block = 0; block < maxima.length; block++) {
      float exact = maxima[block] / 448f;
      float scale = scaleOf(matrix, block);
      if (rounding == ScaleRounding.FLOAT32) {
        assertThat(scale).isEqualTo(exact);
      } else {
        assertThat(scale).isBetween(exact, 2 * exact);
        assertThat(Float.floatToRawIntBits(scale) & 0x7FFFFF).isZero();
      }
    }
    for (int i = 0; i < w.length; i++) {
      int r = i / layout.cols();
      int c = i % layout.cols();
      float scale = scaleOf(matrix, layout.scaleIndex(r, c));
      // Half a step: 2^-4 of the value, or half of the subnormal step 2^-9.
      double bound = Math.max(Math.abs(w[i]) / 16.0, scale * 0x1p-10) * 1.000001;
      assertThat((double) matrix.get(r, c)).isCloseTo(w[i], within(bound));
    }
  }

  @Test
  void aBlockOfZerosHasScaleOneAndKeepsItsZeros() {
    float[] w = {0f, -0f, 1f, 2f};
    WeightMatrix matrix = quantize(w, new BlockScaleLayout(1, 4, 1, 2), ScaleRounding.FLOAT32);

    assertThat(scaleOf(matrix, 0)).isEqualTo(1f);
    assertThat(matrix.data().toArray(ValueLayout.JAVA_BYTE)).startsWith(0x00, 0x80);
    assertThat(matrix.get(0, 3)).isEqualTo(2f);
  }

  @Test
  void aBlockOfTinyValuesStaysFinite() {
    float[] w = {Float.MIN_VALUE, -1e-40f, 2e-38f};
    for (ScaleRounding rounding : ScaleRounding.values()) {
      WeightMatrix matrix = quantize(w, new BlockScaleLayout(1, 3, 1, 3), rounding);
      assertThat(scaleOf(matrix, 0)).isEqualTo(Float.MIN_NORMAL);
      for (int c = 0; c < 3; c++) {
        assertThat((double) matrix.get(0, c))
            .isCloseTo(w[c], within((double) Float.MIN_NORMAL / 8));
      }
    }
  }

  @Test
  void theLargestFloatSurvives() {
    float[] w = {Float.MAX_VALUE, -1f};
    WeightMatrix matrix = quantize(w, new BlockScaleLayout(1, 2, 1, 2), ScaleRounding.FLOAT32);

    assertThat(matrix.data().toArray(ValueLayout.JAVA_BYTE)).containsExactly(0x7e, 0x80);
  }

  @Test
  void weightsThatAreNotFiniteAreRejectedWithTheirPlace() {
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      float[] w = {1f, 2f, 3f, 4f, bad, 6f};
      assertThatThrownBy(() -> quantize(w, new BlockScaleLayout(2, 3, 1, 3), ScaleRounding.FLOAT32))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must be finite: weight[1, 1]=" + bad);
    }
  }

  @Test
  void theArrayFormGivesTheSameBytesAndChecksLengths() {
    BlockScaleLayout layout = new BlockScaleLayout(13, 6, 4, 4);
    float[] w = Vectors.sines(78, 0.37, 1);
    WeightMatrix expected = quantize(w, layout, ScaleRounding.FLOAT32);
    MemorySegment data = bytes(78);
    MemorySegment scales = bytes(layout.scaleBytes());
    BlockFp8Quantizer.quantize(w, layout, data, scales);

    assertThat(data.mismatch(expected.data())).isEqualTo(-1);
    assertThatThrownBy(() -> BlockFp8Quantizer.quantize(Arrays.copyOf(w, 77), layout, data, scales))
        .hasMessage("must be 78: weights.length=77");
    assertThatThrownBy(() -> BlockFp8Quantizer.quantize(w, layout, bytes(77), scales))
        .hasMessage("must be 78: outData.bytes=77");
    assertThatThrownBy(() -> BlockFp8Quantizer.quantize(w, layout, data, bytes(31)))
        .hasMessage("must be 32: outScales.bytes=31");
  }

  @Test
  void quantizingAQuantizedMatrixAgainChangesNothing() {
    BlockScaleLayout layout = new BlockScaleLayout(25, 13, 8, 8);
    float[] w = Vectors.sines(25 * 13, 0.71, 0.02);
    WeightMatrix once = quantize(w, layout, ScaleRounding.POWER_OF_TWO);
    MemorySegment data = bytes(layout.weightBytes());
    MemorySegment scales = bytes(layout.scaleBytes());
    BlockFp8Quantizer.quantize(once::decodeRow, layout, ScaleRounding.POWER_OF_TWO, data, scales);
    WeightMatrix twice = WeightMatrix.blockFp8(layout, data, scales);

    for (int r = 0; r < 25; r++) {
      for (int c = 0; c < 13; c++) {
        assertThat(twice.get(r, c)).isEqualTo(once.get(r, c));
      }
    }
  }
}
