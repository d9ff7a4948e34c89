package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.quant.GptqLayout.StoredZeros;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class GptqLayoutTest {
  private static WeightMatrix encode(
      Arena arena, IntegerMatrix m, GptqLayout layout, @Nullable MemorySegment groupIndex) {
    int per = 32 / m.bits;
    int[] qweight = new int[m.cols / per * m.rows];
    for (int k = 0; k < m.cols; k++) {
      for (int n = 0; n < m.rows; n++) {
        qweight[k / per * m.rows + n] |= m.q[n][k] << (k % per * m.bits);
      }
    }
    int zeroCols = m.rows / per;
    int[] qzeros = new int[m.groups * zeroCols];
    for (int g = 0; g < m.groups; g++) {
      for (int n = 0; n < m.rows; n++) {
        int stored = m.z[n][g];
        if (layout.zeros() == StoredZeros.MINUS_ONE) {
          stored = stored == 0 ? (1 << m.bits) - 1 : stored - 1;
        }
        qzeros[g * zeroCols + n / per] |= stored << (n % per * m.bits);
      }
    }
    return WeightMatrix.gptq(
        layout,
        IntegerMatrix.words(arena, qweight),
        IntegerMatrix.words(arena, qzeros),
        m.columnScales(arena),
        groupIndex);
  }

  private static GptqLayout layout(IntegerMatrix m, int groupSize, StoredZeros zeros) {
    return new GptqLayout(m.rows, m.cols, m.bits, groupSize, zeros, WeightFormat.F16);
  }

  @Test
  void theKnownWordHoldsItsColumnsLowFirst() {
    try (Arena arena = Arena.ofConfined()) {
      WeightMatrix matrix =
          WeightMatrix.gptq(
              new GptqLayout(8, 8, 4, 8, StoredZeros.EXACT, WeightFormat.F32),
              IntegerMatrix.words(arena, new int[] {0, 0x87654321, 0, 0, 0, 0, 0, 0}),
              IntegerMatrix.words(arena, new int[] {0}),
              MemorySegment.ofArray(new float[] {1, 1, 1, 1, 1, 1, 1, 1}),
              null);
      for (int c = 0; c < 8; c++) {
        assertThat(matrix.get(1, c)).isEqualTo(c + 1);
        assertThat(matrix.get(0, c)).isZero();
      }
    }
  }

  @Test
  void versionOneAddsOneToTheStoredZeroAndWraps() {
    GptqLayout four = new GptqLayout(8, 8, 4, 8, StoredZeros.MINUS_ONE, WeightFormat.F16);
    GptqLayout eight = new GptqLayout(8, 8, 8, 8, StoredZeros.MINUS_ONE, WeightFormat.F16);
    GptqLayout exact = new GptqLayout(8, 8, 4, 8, StoredZeros.EXACT, WeightFormat.F16);

    assertThat(four.zero(7)).isEqualTo(8);
    assertThat(four.zero(15)).isZero();
    assertThat(eight.zero(127)).isEqualTo(128);
    assertThat(eight.zero(255)).isZero();
    assertThat(exact.zero(15)).isEqualTo(15);
  }

  @Test
  void everyElementDecodesAndRepacksInBothVersionsWidthsAndOrders() {
    int[][] shapes = {{8, 8, 8}, {16, 24, 5}, {24, 96, 32}, {576, 64, 64}, {40, 16, 1}};
    try (Arena arena = Arena.ofConfined()) {
      for (int[] shape : shapes) {
        for (int bits : new int[] {4, 8}) {
          for (StoredZeros zeros : StoredZeros.values()) {
            IntegerMatrix m = IntegerMatrix.random(shape[0], shape[1], bits, shape[2], shape[0]);
            GptqLayout layout = layout(m, shape[2], zeros);
            IntegerMatrix.assertRepacks(m, encode(arena, m, layout, null));
            m.shuffledGroups(bits);
            IntegerMatrix.assertRepacks(m, encode(arena, m, layout, m.groupIndex(arena)));
          }
        }
      }
    }
  }

  @Test
  void aGroupIndexThatSaysNothingNewIsDropped() {
    try (Arena arena = Arena.ofConfined()) {
      IntegerMatrix m = IntegerMatrix.random(8, 24, 4, 8, 3);
      GptqLayout layout = layout(m, 8, StoredZeros.EXACT);
      WeightMatrix plain = encode(arena, m, layout, m.groupIndex(arena));
      assertThat(plain.groupIndex()).isNull();
      m.assertDecodes(plain);

      m.shuffledGroups(4);
      WeightMatrix shuffled = encode(arena, m, layout, m.groupIndex(arena));
      assertThat(shuffled.groupIndex()).isNotNull();
      assertThat(shuffled.bytes()).isEqualTo(plain.bytes() + 24 * 4);
      assertThat(shuffled.repack(arena).groupIndex()).isNotNull();
    }
  }

  @Test
  void theShapesAreThePublishedOnes() {
    GptqLayout four = new GptqLayout(576, 7168, 4, 128, StoredZeros.MINUS_ONE, WeightFormat.F16);
    assertThat(four.weightShape()).containsExactly(896, 576);
    assertThat(four.zeroShape()).containsExactly(56, 72);
    assertThat(four.scaleShape()).containsExactly(56, 576);
    assertThat(four.groupIndexBytes()).isEqualTo(7168 * 4);
    GptqLayout eight = new GptqLayout(576, 7168, 8, 128, StoredZeros.MINUS_ONE, WeightFormat.F16);
    assertThat(eight.weightShape()).containsExactly(1792, 576);
    assertThat(eight.zeroShape()).containsExactly(56, 144);
    assertThat(eight.weightBytes()).isEqualTo(7168L * 576);
    assertThat(eight.shift(5)).isEqualTo(8);
    assertThat(four.shift(13)).isEqualTo(20);
  }

  @Test
  void widthsAndShapesThatFillNoWholeWordsAreRefused() {
    assertThatThrownBy(() -> new GptqLayout(8, 8, 3, 8, StoredZeros.EXACT, WeightFormat.F16))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be 4 or 8: bits=3");
    assertThatThrownBy(() -> new GptqLayout(12, 8, 4, 8, StoredZeros.EXACT, WeightFormat.F16))
        .hasMessage("must be a multiple of 8: rows=12");
    assertThatThrownBy(() -> new GptqLayout(8, 25, 8, 8, StoredZeros.EXACT, WeightFormat.F16))
        .hasMessage("must be a multiple of 4: cols=25");
  }

  @Test
  void aGroupThatDoesNotExistIsRefusedWithItsColumn() {
    try (Arena arena = Arena.ofConfined()) {
      IntegerMatrix m = IntegerMatrix.random(8, 24, 4, 8, 3);
      GptqLayout layout = layout(m, 8, StoredZeros.EXACT);
      m.group[5] = 3;
      MemorySegment index = m.groupIndex(arena);
      assertThatThrownBy(() -> encode(arena, m, layout, index))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must be in [0, 3): groupIndex[5]=3");
      m.group[5] = -1;
      MemorySegment negative = m.groupIndex(arena);
      assertThatThrownBy(() -> encode(arena, m, layout, negative))
          .hasMessage("must be in [0, 3): groupIndex[5]=-1");
      assertThatThrownBy(() -> encode(arena, m, layout, index.asSlice(0, 92)))
          .hasMessage("must be 96: groupIndex.bytes=92");
    }
  }

  @Test
  void symmetricFilesLoseTheirZeroPointsWhenRepacked() {
    try (Arena arena = Arena.ofConfined()) {
      for (int bits : new int[] {4, 8}) {
        IntegerMatrix m = IntegerMatrix.random(8, 24, bits, 8, 3).symmetric();
        WeightMatrix stored = encode(arena, m, layout(m, 8, StoredZeros.MINUS_ONE), null);
        assertThat(stored.zeroPoints()).isNotNull();
        IntegerMatrix.assertRepacks(m, stored);
        assertThat(stored.repack(arena).zeroPoints()).isNull();
        m.z[7][2]++;
        WeightMatrix oneDiffers = encode(arena, m, layout(m, 8, StoredZeros.MINUS_ONE), null);
        assertThat(oneDiffers.repack(arena).zeroPoints()).isNotNull();
      }
    }
  }
}
