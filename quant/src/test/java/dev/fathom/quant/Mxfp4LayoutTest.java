package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class Mxfp4LayoutTest {
  private static final float[] MAGNITUDES = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

  @Test
  void theKnownBytesUnpackLowNibbleFirst() {
    byte[] data = new byte[16];
    data[0] = 0x2A;
    data[1] = (byte) 0xF1;
    data[2] = 0x07;
    WeightMatrix matrix =
        WeightMatrix.mxfp4(
            new Mxfp4Layout(1, 32),
            MemorySegment.ofArray(data),
            MemorySegment.ofArray(new byte[] {127}));
    float[] row = new float[32];
    matrix.decodeRow(0, row, 0);
    assertThat(row).startsWith(-1f, 1f, 0.5f, -6f, 6f, 0f);
    assertThat(matrix.format()).isEqualTo(WeightFormat.MXFP4);
  }

  @Test
  void everyElementIsItsCodeTimesThePowerOfItsBlock() {
    SplittableRandom random = new SplittableRandom(4);
    try (Arena arena = Arena.ofConfined()) {
      for (int[] shape : new int[][] {{1, 32}, {13, 64}, {25, 96}, {576, 32}}) {
        int rows = shape[0];
        int cols = shape[1];
        MemorySegment data = Vectors.odd(arena, (long) rows * cols / 2);
        MemorySegment scales = Vectors.odd(arena, (long) rows * cols / 32);
        float[] expected = new float[rows * cols];
        for (int i = 0; i < expected.length; i += 32) {
          int exponent = random.nextInt(0, 251);
          scales.set(ValueLayout.JAVA_BYTE, i / 32, (byte) exponent);
          for (int j = i; j < i + 32; j++) {
            int code = random.nextInt(16);
            double sign = code >= 8 ? -1 : 1;
            expected[j] = (float) (sign * MAGNITUDES[code % 8] * Math.pow(2, exponent - 127));
            byte old = data.get(ValueLayout.JAVA_BYTE, j / 2);
            data.set(
                ValueLayout.JAVA_BYTE, j / 2, (byte) (j % 2 == 0 ? code : (old & 15) | code << 4));
          }
        }
        assertDecodes(WeightMatrix.mxfp4(new Mxfp4Layout(rows, cols), data, scales), expected);
      }
    }
  }

  private static void assertDecodes(WeightMatrix matrix, float[] expected) {
    float[] row = new float[matrix.cols() + 1];
    for (int r = 0; r < matrix.rows(); r++) {
      matrix.decodeRow(r, row, 1);
      for (int c = 0; c < matrix.cols(); c++) {
        assertThat(row[1 + c]).isEqualTo(expected[r * matrix.cols() + c]);
        assertThat(matrix.get(r, c)).isEqualTo(expected[r * matrix.cols() + c]);
      }
    }
  }

  @Test
  void aScaleThatIsNotANumberMakesItsBlockNaN() {
    WeightMatrix matrix =
        WeightMatrix.mxfp4(
            new Mxfp4Layout(1, 32),
            MemorySegment.ofArray(new byte[16]),
            MemorySegment.ofArray(new byte[] {(byte) 255}));
    assertThat(matrix.get(0, 3)).isNaN();
  }

  @Test
  void theShapesAreThePublishedOnesAndOthersAreRefused() {
    Mxfp4Layout layout = new Mxfp4Layout(2048, 4096);
    assertThat(layout.weightShape()).containsExactly(2048, 2048);
    assertThat(layout.scaleShape()).containsExactly(2048, 128);
    assertThatThrownBy(() -> new Mxfp4Layout(4, 48))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be a multiple of 32: cols=48");
    assertThatThrownBy(() -> new Mxfp4Layout(0, 32)).hasMessage("must be >= 1: rows=0");
    MemorySegment one = MemorySegment.ofArray(new byte[1]);
    MemorySegment sixteen = MemorySegment.ofArray(new byte[16]);
    assertThatThrownBy(() -> WeightMatrix.mxfp4(new Mxfp4Layout(1, 32), one, one))
        .hasMessage("must be 16: data.bytes=1");
    assertThatThrownBy(() -> WeightMatrix.mxfp4(new Mxfp4Layout(1, 32), sixteen, sixteen))
        .hasMessage("must be 1: scales.bytes=16");
  }
}
