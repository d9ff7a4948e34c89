package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class PackedIntLayoutTest {
  private enum Zeros {
    SYMMETRIC,
    STORED
  }

  /** Signed integers become unsigned by 2^(bits-1); the fixture's codes are unsigned already. */
  private static WeightMatrix encode(
      Arena arena,
      IntegerMatrix m,
      int groupSize,
      Zeros zeros,
      @Nullable MemorySegment groupIndex) {
    int per = 32 / m.bits;
    int rowWords = (m.cols * m.bits + 31) / 32;
    int[] packed = new int[m.rows * rowWords];
    int[] zeroWords = new int[(m.rows + per - 1) / per * m.groups];
    for (int r = 0; r < m.rows; r++) {
      for (int c = 0; c < m.cols; c++) {
        packed[r * rowWords + c / per] |= m.q[r][c] << (c % per * m.bits);
      }
      for (int g = 0; g < m.groups; g++) {
        zeroWords[r / per * m.groups + g] |= m.z[r][g] << (r % per * m.bits);
      }
    }
    return WeightMatrix.packedInt(
        new PackedIntLayout(m.rows, m.cols, m.bits, groupSize, WeightFormat.F16),
        IntegerMatrix.words(arena, packed),
        m.rowScales(arena),
        zeros == Zeros.STORED ? IntegerMatrix.words(arena, zeroWords) : null,
        groupIndex);
  }

  @Test
  void theKnownWordsHoldTheirColumnsLowFirstWithAnOffsetOfEight() {
    try (Arena arena = Arena.ofConfined()) {
      WeightMatrix matrix =
          WeightMatrix.packedInt(
              new PackedIntLayout(2, 8, 4, 8, WeightFormat.F32),
              IntegerMatrix.words(arena, new int[] {0xDA5F9870, 0x87654321}),
              MemorySegment.ofArray(new float[] {1, 1}),
              null,
              null);
      float[] row = new float[8];
      matrix.decodeRow(0, row, 0);
      assertThat(row).containsExactly(-8f, -1f, 0f, 1f, 7f, -3f, 2f, 5f);
      matrix.decodeRow(1, row, 0);
      assertThat(row).containsExactly(-7f, -6f, -5f, -4f, -3f, -2f, -1f, 0f);
    }
  }

  @Test
  void everyElementDecodesAndRepacksWithPaddingZerosAndActivationOrder() {
    int[][] shapes = {
      {1, 1, 1}, {1, 25, 25}, {13, 13, 5}, {25, 96, 32}, {576, 33, 32}, {8, 8, 8}, {4, 7, 3}
    };
    try (Arena arena = Arena.ofConfined()) {
      for (int[] shape : shapes) {
        for (int bits : new int[] {4, 8}) {
          IntegerMatrix m = IntegerMatrix.random(shape[0], shape[1], bits, shape[2], shape[1]);
          IntegerMatrix.assertRepacks(m, encode(arena, m, shape[2], Zeros.STORED, null));
          m.symmetric();
          WeightMatrix symmetric = encode(arena, m, shape[2], Zeros.SYMMETRIC, null);
          IntegerMatrix.assertRepacks(m, symmetric);
          assertThat(symmetric.repack(arena).zeroPoints()).isNull();
          m.shuffledGroups(9);
          IntegerMatrix.assertRepacks(
              m, encode(arena, m, shape[2], Zeros.SYMMETRIC, m.groupIndex(arena)));
        }
      }
    }
  }

  @Test
  void packingForCompressedTensorsGivesTheBytesOfAnIndependentEncoder() {
    try (Arena arena = Arena.ofConfined()) {
      for (int bits : List.of(4, 8)) {
        IntegerMatrix m = IntegerMatrix.random(13, 45, bits, 20, 5);
        WeightMatrix expected = encode(arena, m, 20, Zeros.STORED, null);
        WeightMatrix packed = IntegerPacker.compressedTensors(expected.repack(arena), arena);
        SegmentAsserts.assertSame(packed.data(), expected.data());
        SegmentAsserts.assertSame(packed.scales(), expected.scales());
        SegmentAsserts.assertSame(packed.zeroPoints(), expected.zeroPoints());

        m.symmetric().shuffledGroups(2);
        expected = encode(arena, m, 20, Zeros.SYMMETRIC, m.groupIndex(arena));
        packed = IntegerPacker.compressedTensors(expected.repack(arena), arena);
        SegmentAsserts.assertSame(packed.data(), expected.data());
        SegmentAsserts.assertSame(packed.zeroPoints(), null);
        SegmentAsserts.assertSame(packed.groupIndex(), expected.groupIndex());
      }
    }
  }

  @Test
  void theShapesAreThePublishedOnes() {
    PackedIntLayout layout = new PackedIntLayout(577, 7167, 4, 128, WeightFormat.BF16);
    assertThat(layout.weightShape()).containsExactly(577, 896);
    assertThat(layout.scaleShape()).containsExactly(577, 56);
    assertThat(layout.zeroShape()).containsExactly(73, 56);
    assertThat(new PackedIntLayout(577, 7167, 8, 7167, WeightFormat.BF16).weightShape())
        .containsExactly(577, 1792);
    assertThat(layout.zeroBytes()).isEqualTo(73 * 56 * 4);
  }

  @Test
  void otherWidthsAndLengthsAreRefused() {
    assertThatThrownBy(() -> new PackedIntLayout(8, 8, 3, 8, WeightFormat.F16))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be 4 or 8: bits=3");
    PackedIntLayout layout = new PackedIntLayout(9, 9, 4, 9, WeightFormat.F32);
    MemorySegment data = MemorySegment.ofArray(new byte[9 * 2 * 4]);
    MemorySegment scales = MemorySegment.ofArray(new float[9]);
    assertThatThrownBy(() -> WeightMatrix.packedInt(layout, scales, scales, null, null))
        .hasMessage("must be 72: data.bytes=36");
    assertThatThrownBy(() -> WeightMatrix.packedInt(layout, data, scales, scales, null))
        .hasMessage("must be 8: zeroPoints.bytes=36");
  }

  @Test
  void onlyIntegersArePacked() {
    WeightMatrix dense =
        WeightMatrix.dense(WeightFormat.F32, 1, 1, MemorySegment.ofArray(new float[1]));
    try (Arena arena = Arena.ofConfined()) {
      assertThatThrownBy(() -> IntegerPacker.awq(dense, arena))
          .hasMessage("must be INT4 or INT8: format=F32");
      assertThat(dense.repack(arena)).isSameAs(dense);
      IntegerMatrix m = IntegerMatrix.random(8, 8, 8, 8, 1);
      WeightMatrix wide = encode(arena, m, 8, Zeros.STORED, null);
      assertThatThrownBy(() -> IntegerPacker.awq(wide, arena)).hasMessage("must be 4: bits=8");
      IntegerMatrix n = IntegerMatrix.random(8, 8, 4, 4, 1).shuffledGroups(3);
      WeightMatrix ordered = encode(arena, n, 4, Zeros.STORED, n.groupIndex(arena));
      assertThatThrownBy(() -> IntegerPacker.awq(ordered, arena))
          .hasMessage("must have no group index: format=awq");
    }
  }
}
