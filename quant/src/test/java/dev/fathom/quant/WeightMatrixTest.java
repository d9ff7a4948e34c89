package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class WeightMatrixTest {
  private static final int[] SIZES = {1, 4, 6, 13, 25, 207};

  @Test
  void denseFormatsDecodeEachElementAtAnyAlignment() {
    SplittableRandom random = new SplittableRandom(11);
    try (Arena arena = Arena.ofConfined()) {
      for (WeightFormat format : WeightFormat.values()) {
        if (format.isDense()) {
          for (int rows : SIZES) {
            denseDecodes(arena, format, rows, SIZES[random.nextInt(SIZES.length)], random);
          }
        }
      }
    }
  }

  private static void denseDecodes(
      Arena arena, WeightFormat format, int rows, int cols, SplittableRandom random) {
    MemorySegment data = Vectors.odd(arena, format.bytes((long) rows * cols));
    float[] expected = new float[rows * cols];
    for (int i = 0; i < expected.length; i++) {
      float value = (float) random.nextDouble(-3, 3);
      switch (format) {
        case F32 -> {
          expected[i] = value;
          data.setAtIndex(Vectors.FLOAT, i, value);
        }
        case F16 -> {
          short bits = Float.floatToFloat16(value);
          expected[i] = Float.float16ToFloat(bits);
          data.setAtIndex(Vectors.SHORT, i, bits);
        }
        default -> {
          expected[i] = Bf16.round(value);
          data.setAtIndex(Vectors.SHORT, i, (short) (Float.floatToIntBits(expected[i]) >>> 16));
        }
      }
    }
    WeightMatrix matrix = WeightMatrix.dense(format, rows, cols, data);
    assertThat(matrix.bytes()).isEqualTo(data.byteSize());
    assertThat(matrix.scales()).isNull();
    assertThat(matrix.layout()).isNull();
    assertDecodes(matrix, expected);
  }

  private static void assertDecodes(WeightMatrix matrix, float[] expected) {
    int cols = matrix.cols();
    float[] row = new float[cols + 3];
    for (int r = 0; r < matrix.rows(); r++) {
      Arrays.fill(row, 99f);
      matrix.decodeRow(r, row, 2);
      assertThat(row[1]).isEqualTo(99f);
      assertThat(row[cols + 2]).isEqualTo(99f);
      for (int c = 0; c < cols; c++) {
        assertThat(row[2 + c]).isEqualTo(expected[r * cols + c]);
        assertThat(matrix.get(r, c)).isEqualTo(expected[r * cols + c]);
      }
    }
  }

  @Test
  void blockFp8MultipliesEachByteWithTheScaleOfItsBlock() {
    SplittableRandom random = new SplittableRandom(12);
    try (Arena arena = Arena.ofConfined()) {
      for (int rows : SIZES) {
        for (int cols : SIZES) {
          blockFp8Decodes(
              arena,
              new BlockScaleLayout(rows, cols, random.nextInt(1, 20), random.nextInt(1, 20)),
              random);
        }
      }
      blockFp8Decodes(arena, BlockScaleLayout.square(160, 136, 128), random);
    }
  }

  private static void blockFp8Decodes(
      Arena arena, BlockScaleLayout layout, SplittableRandom random) {
    MemorySegment data = Vectors.odd(arena, layout.weightBytes());
    MemorySegment scales = Vectors.odd(arena, layout.scaleBytes());
    float[][] blockScale = new float[layout.scaleRows()][layout.scaleCols()];
    for (int i = 0; i < layout.scaleRows() * layout.scaleCols(); i++) {
      float scale = (float) random.nextDouble(0.001, 2);
      scales.setAtIndex(Vectors.FLOAT, i, scale);
      blockScale[i / layout.scaleCols()][i % layout.scaleCols()] = scale;
    }
    float[] expected = new float[(int) layout.weightBytes()];
    for (int i = 0; i < expected.length; i++) {
      byte code = (byte) (random.nextInt(0x7F) | (random.nextInt(2) << 7));
      data.set(ValueLayout.JAVA_BYTE, i, code);
      int r = i / layout.cols();
      int c = i % layout.cols();
      float scale = blockScale[r / layout.blockRows()][c / layout.blockCols()];
      expected[i] = Fp8E4m3.decode(code) * scale;
    }
    WeightMatrix matrix = WeightMatrix.blockFp8(layout, data, scales);
    assertThat(matrix.bytes()).isEqualTo(data.byteSize() + scales.byteSize());
    assertThat(matrix.layout()).isEqualTo(layout);
    assertDecodes(matrix, expected);
  }

  @Test
  void segmentsOfAnotherLengthAreRejected() {
    MemorySegment eleven = MemorySegment.ofArray(new byte[11]);
    BlockScaleLayout layout = new BlockScaleLayout(3, 4, 2, 2);
    MemorySegment twelve = MemorySegment.ofArray(new byte[12]);

    assertThatThrownBy(() -> WeightMatrix.dense(WeightFormat.BF16, 2, 3, eleven))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be 12: data.bytes=11");
    assertThatThrownBy(() -> WeightMatrix.blockFp8(layout, eleven, twelve))
        .hasMessage("must be 12: data.bytes=11");
    assertThatThrownBy(() -> WeightMatrix.blockFp8(layout, twelve, eleven))
        .hasMessage("must be 16: scales.bytes=11");
    assertThatThrownBy(() -> WeightMatrix.dense(WeightFormat.FP8_E4M3, 3, 4, twelve))
        .hasMessage("must be a format without scales: format=FP8_E4M3");
    assertThatThrownBy(() -> WeightMatrix.dense(WeightFormat.F32, 0, 4, twelve))
        .hasMessage("must be >= 1: rows=0");
  }

  @Test
  void indicesOutsideAreRejected() {
    WeightMatrix matrix =
        WeightMatrix.dense(WeightFormat.F32, 2, 3, MemorySegment.ofArray(new float[6]));

    assertThatThrownBy(() -> matrix.get(2, 0)).hasMessage("must be in [0, 2): r=2");
    assertThatThrownBy(() -> matrix.get(0, 3)).hasMessage("must be in [0, 3): c=3");
    assertThatThrownBy(() -> matrix.get(0, -1)).hasMessage("must be in [0, 3): c=-1");
    assertThatThrownBy(() -> matrix.decodeRow(-1, new float[3], 0))
        .hasMessage("must be in [0, 2): r=-1");
    assertThatThrownBy(() -> matrix.decodeRow(0, new float[4], 2))
        .hasMessage("must hold 3 elements from 2: out.length=4");
    assertThatThrownBy(() -> matrix.decodeRow(0, new float[4], -1))
        .hasMessage("must hold 3 elements from -1: out.length=4");
  }

  @Test
  void theViewIsReadOnlyAndDiesWithItsArena() {
    WeightMatrix matrix;
    try (Arena arena = Arena.ofConfined()) {
      BlockScaleLayout layout = new BlockScaleLayout(2, 2, 2, 2);
      matrix = WeightMatrix.blockFp8(layout, arena.allocate(4), arena.allocate(4));
      assertThat(matrix.data().isReadOnly()).isTrue();
      assertThat(Objects.requireNonNull(matrix.scales()).isReadOnly()).isTrue();
      assertThat(matrix.get(0, 0)).isZero();
    }
    assertThatThrownBy(() -> matrix.get(0, 0)).isInstanceOf(IllegalStateException.class);
    assertThat(matrix).hasToString("WeightMatrix[FP8_E4M3 2x2, 8 bytes]");
  }
}
