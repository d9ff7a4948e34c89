package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class AwqLayoutTest {
  private static final int[] ORDER = {0, 2, 4, 6, 1, 3, 5, 7};

  /** One word from eight integers of consecutive rows. */
  private static int word(int[] eight) {
    int word = 0;
    for (int i = 0; i < 8; i++) {
      word |= eight[ORDER[i]] << (4 * i);
    }
    return word;
  }

  private static WeightMatrix encode(Arena arena, IntegerMatrix m, int groupSize) {
    int[] qweight = new int[m.cols * m.rows / 8];
    int[] qzeros = new int[m.groups * m.rows / 8];
    int[] eight = new int[8];
    for (int b = 0; b < m.rows / 8; b++) {
      for (int k = 0; k < m.cols; k++) {
        for (int i = 0; i < 8; i++) {
          eight[i] = m.q[8 * b + i][k];
        }
        qweight[k * (m.rows / 8) + b] = word(eight);
      }
      for (int g = 0; g < m.groups; g++) {
        for (int i = 0; i < 8; i++) {
          eight[i] = m.z[8 * b + i][g];
        }
        qzeros[g * (m.rows / 8) + b] = word(eight);
      }
    }
    return WeightMatrix.awq(
        AwqLayout.of(m.rows, m.cols, groupSize),
        IntegerMatrix.words(arena, qweight),
        IntegerMatrix.words(arena, qzeros),
        m.columnScales(arena));
  }

  @Test
  void theKnownWordHoldsItsRowsInAwqOrder() {
    try (Arena arena = Arena.ofConfined()) {
      WeightMatrix matrix =
          WeightMatrix.awq(
              new AwqLayout(8, 1, 1, WeightFormat.F32),
              IntegerMatrix.words(arena, new int[] {0x86427531}),
              IntegerMatrix.words(arena, new int[] {0}),
              MemorySegment.ofArray(new float[] {1, 1, 1, 1, 1, 1, 1, 1}));
      for (int r = 0; r < 8; r++) {
        assertThat(matrix.get(r, 0)).isEqualTo(r + 1);
      }
      assertThat(word(new int[] {1, 2, 3, 4, 5, 6, 7, 8})).isEqualTo(0x86427531);
    }
  }

  @Test
  void everyElementOfAnAwqMatrixDecodesAndRepacks() {
    int[][] shapes = {
      {8, 1, 1}, {8, 25, 25}, {16, 13, 1}, {24, 96, 32}, {576, 64, 64}, {40, 12, 4}
    };
    try (Arena arena = Arena.ofConfined()) {
      for (int[] shape : shapes) {
        IntegerMatrix m = IntegerMatrix.random(shape[0], shape[1], 4, shape[2], 31 + shape[0]);
        WeightMatrix matrix = encode(arena, m, shape[2]);
        assertThat(matrix.format()).isEqualTo(WeightFormat.INT4);
        assertThat(matrix.layout()).isNull();
        IntegerMatrix.assertRepacks(m, matrix);
      }
    }
  }

  @Test
  void packingForAwqGivesTheBytesOfAnIndependentEncoder() {
    try (Arena arena = Arena.ofConfined()) {
      IntegerMatrix m = IntegerMatrix.random(40, 60, 4, 20, 5);
      WeightMatrix expected = encode(arena, m, 20);
      WeightMatrix packed = IntegerPacker.awq(expected.repack(arena), arena);

      assertThat(packed.packing()).isEqualTo(new AwqLayout(40, 60, 20, WeightFormat.F16));
      SegmentAsserts.assertSame(packed.data(), expected.data());
      SegmentAsserts.assertSame(packed.scales(), expected.scales());
      SegmentAsserts.assertSame(packed.zeroPoints(), expected.zeroPoints());
    }
  }

  @Test
  void theShapesAreThePublishedOnes() {
    AwqLayout layout = AwqLayout.of(576, 7168, 128);
    assertThat(layout.weightShape()).containsExactly(7168, 72);
    assertThat(layout.zeroShape()).containsExactly(56, 72);
    assertThat(layout.scaleShape()).containsExactly(56, 576);
    assertThat(layout.weightBytes()).isEqualTo(7168L * 72 * 4);
    assertThat(layout.zeroBytes()).isEqualTo(56L * 72 * 4);
    assertThat(layout.scaleBytes()).isEqualTo(56L * 576 * 2);
    assertThat(AwqLayout.of(1 << 20, 1 << 20, 128).wordIndex((1 << 20) - 1, (1 << 20) - 1))
        .isEqualTo((1L << 37) - 1);
  }

  @Test
  void shapesThatFillNoWholeWordsOrGroupsAreRefused() {
    assertThatThrownBy(() -> AwqLayout.of(13, 128, 128))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be a multiple of 8: rows=13");
    assertThatThrownBy(() -> AwqLayout.of(16, 576, 128))
        .hasMessage("must be a multiple of 128: cols=576");
    assertThatThrownBy(() -> AwqLayout.of(8, 0, 1)).hasMessage("must be >= 1: cols=0");
    assertThatThrownBy(() -> AwqLayout.of(8, 8, 0)).hasMessage("must be >= 1: groupSize=0");
    assertThatThrownBy(() -> new AwqLayout(8, 8, 8, WeightFormat.INT8))
        .hasMessage("must be F32, F16 or BF16: scaleFormat=INT8");
    MemorySegment four = MemorySegment.ofArray(new byte[4]);
    assertThatThrownBy(() -> WeightMatrix.awq(AwqLayout.of(8, 2, 2), four, four, four))
        .hasMessage("must be 8: data.bytes=4");
    assertThatThrownBy(() -> WeightMatrix.awq(AwqLayout.of(8, 1, 1), four, four, four))
        .hasMessage("must be 16: scales.bytes=4");
    MemorySegment scales = MemorySegment.ofArray(new byte[16]);
    assertThatThrownBy(() -> WeightMatrix.awq(AwqLayout.of(8, 1, 1), four, scales, scales))
        .hasMessage("must be 4: zeroPoints.bytes=16");
  }
}
