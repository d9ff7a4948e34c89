package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** {@link Int4Layout} and {@link Int8Layout}. */
class RowMajorIntegersTest {
  private static final int[][] SHAPES = {
    {1, 1, 1}, {1, 25, 7}, {13, 13, 13}, {25, 64, 32}, {576, 6, 4}, {3, 207, 128}
  };

  private static MemorySegment nibbles(Arena arena, IntegerMatrix m) {
    int rowBytes = (m.cols + 1) / 2;
    MemorySegment out = Vectors.odd(arena, (long) m.rows * rowBytes);
    for (int r = 0; r < m.rows; r++) {
      for (int c = 0; c < m.cols; c++) {
        long at = (long) r * rowBytes + c / 2;
        int old = out.get(ValueLayout.JAVA_BYTE, at);
        int shifted = c % 2 == 0 ? m.q[r][c] : m.q[r][c] * 16;
        out.set(ValueLayout.JAVA_BYTE, at, (byte) (old | shifted));
      }
    }
    return out;
  }

  private static MemorySegment bytes(Arena arena, int[][] values, int minus) {
    int width = values[0].length;
    MemorySegment out = Vectors.odd(arena, (long) values.length * width);
    for (int i = 0; i < values.length * width; i++) {
      out.set(ValueLayout.JAVA_BYTE, i, (byte) (values[i / width][i % width] - minus));
    }
    return out;
  }

  @Test
  void fourBitMatricesDecode() {
    try (Arena arena = Arena.ofConfined()) {
      for (int[] shape : SHAPES) {
        IntegerMatrix m = IntegerMatrix.random(shape[0], shape[1], 4, shape[2], 7);
        Int4Layout layout = new Int4Layout(shape[0], shape[1], shape[2], WeightFormat.F16);
        MemorySegment data = nibbles(arena, m);
        MemorySegment scales = m.rowScales(arena);
        WeightMatrix matrix = WeightMatrix.int4(layout, data, scales, bytes(arena, m.z, 0), null);
        m.assertDecodes(matrix);
        assertThat(matrix.format()).isEqualTo(WeightFormat.INT4);
        assertThat(matrix.packing()).isEqualTo(layout);
        m.symmetric();
        m.assertDecodes(WeightMatrix.int4(layout, data, scales, null, null));
        m.shuffledGroups(3);
        m.assertDecodes(WeightMatrix.int4(layout, data, scales, null, m.groupIndex(arena)));
      }
    }
  }

  @Test
  void eightBitMatricesDecode() {
    try (Arena arena = Arena.ofConfined()) {
      for (int[] shape : SHAPES) {
        IntegerMatrix m = IntegerMatrix.random(shape[0], shape[1], 8, shape[2], 8);
        Int8Layout layout = new Int8Layout(shape[0], shape[1], shape[2], WeightFormat.F16);
        MemorySegment data = bytes(arena, m.q, 128);
        MemorySegment scales = m.rowScales(arena);
        WeightMatrix matrix = WeightMatrix.int8(layout, data, scales, bytes(arena, m.z, 128), null);
        m.assertDecodes(matrix);
        assertThat(matrix.format()).isEqualTo(WeightFormat.INT8);
        m.symmetric();
        m.assertDecodes(WeightMatrix.int8(layout, data, scales, null, null));
        m.shuffledGroups(3);
        m.assertDecodes(WeightMatrix.int8(layout, data, scales, null, m.groupIndex(arena)));
      }
    }
  }

  @Test
  void wordsOfCompressedTensorsComeBackAsTheyWere() {
    int[][] shapes = {{1, 1, 1}, {3, 7, 7}, {5, 12, 4}, {13, 16, 8}, {25, 64, 32}, {3, 207, 128}};
    try (Arena arena = Arena.ofConfined()) {
      for (int[] shape : shapes) {
        IntegerMatrix m = IntegerMatrix.random(shape[0], shape[1], 4, shape[2], 11);
        WeightMatrix four =
            WeightMatrix.int4(
                new Int4Layout(shape[0], shape[1], shape[2], WeightFormat.F16),
                nibbles(arena, m),
                m.rowScales(arena),
                bytes(arena, m.z, 0),
                null);
        assertComesBack(four, arena);
        m = IntegerMatrix.random(shape[0], shape[1], 8, shape[2], 12);
        WeightMatrix eight =
            WeightMatrix.int8(
                new Int8Layout(shape[0], shape[1], shape[2], WeightFormat.F16),
                bytes(arena, m.q, 128),
                m.rowScales(arena),
                bytes(arena, m.z, 128),
                null);
        assertComesBack(eight, arena);
      }
    }
  }

  private static void assertComesBack(WeightMatrix matrix, Arena arena) {
    WeightMatrix words = IntegerPacker.compressedTensors(matrix, arena);
    WeightMatrix back = IntegerPacker.rowMajor(words, arena);
    assertThat(back.data().mismatch(matrix.data())).isEqualTo(-1);
    assertThat(back.packing()).isEqualTo(matrix.packing());
    for (int r = 0; r < matrix.rows(); r++) {
      for (int c = 0; c < matrix.cols(); c++) {
        assertThat(back.get(r, c)).isEqualTo(matrix.get(r, c));
      }
    }
  }

  @Test
  void knownBytesDecode() {
    WeightMatrix four =
        WeightMatrix.int4(
            new Int4Layout(1, 3, 3, WeightFormat.F32),
            MemorySegment.ofArray(new byte[] {(byte) 0xF1, 0x08}),
            MemorySegment.ofArray(new float[] {0.5f}),
            null,
            null);
    float[] row = new float[3];
    four.decodeRow(0, row, 0);
    assertThat(row).containsExactly(-3.5f, 3.5f, 0f);

    WeightMatrix eight =
        WeightMatrix.int8(
            Int8Layout.perChannel(2, 2, WeightFormat.BF16),
            MemorySegment.ofArray(new byte[] {-128, 127, 1, -1}),
            MemorySegment.ofArray(new byte[] {0, 0x3F, (byte) 0x80, 0x40}),
            null,
            null);
    assertThat(eight.get(0, 0)).isEqualTo(-64f);
    assertThat(eight.get(0, 1)).isEqualTo(63.5f);
    assertThat(eight.get(1, 0)).isEqualTo(4f);
    assertThat(eight.get(1, 1)).isEqualTo(-4f);
  }

  @Test
  void allSegmentsAreReadOnlyAndCounted() {
    try (Arena arena = Arena.ofConfined()) {
      IntegerMatrix m = IntegerMatrix.random(3, 7, 4, 2, 8).shuffledGroups(1);
      WeightMatrix matrix =
          WeightMatrix.int4(
              new Int4Layout(3, 7, 2, WeightFormat.F16),
              nibbles(arena, m),
              m.rowScales(arena),
              bytes(arena, m.z, 0),
              m.groupIndex(arena));
      assertThat(matrix.bytes()).isEqualTo(3 * 4 + 3 * 4 * 2 + 3 * 4 + 7 * 4);
      assertThat(matrix.data().isReadOnly()).isTrue();
      assertThat(Objects.requireNonNull(matrix.scales()).isReadOnly()).isTrue();
      assertThat(Objects.requireNonNull(matrix.zeroPoints()).isReadOnly()).isTrue();
      assertThat(Objects.requireNonNull(matrix.groupIndex()).isReadOnly()).isTrue();
    }
  }

  @Test
  void lengthsThatDoNotFitAreRefused() {
    MemorySegment six = MemorySegment.ofArray(new byte[6]);
    MemorySegment eight = MemorySegment.ofArray(new byte[8]);
    Int4Layout four = new Int4Layout(2, 5, 5, WeightFormat.F32);
    assertThat(four.weightShape()).containsExactly(2, 3);
    assertThat(four.zeroShape()).containsExactly(2, 1);
    assertThatThrownBy(() -> WeightMatrix.int4(four, eight, eight, null, null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be 6: data.bytes=8");
    assertThatThrownBy(() -> WeightMatrix.int4(four, six, six, null, null))
        .hasMessage("must be 8: scales.bytes=6");
    assertThatThrownBy(() -> WeightMatrix.int4(four, six, eight, six, null))
        .hasMessage("must be 2: zeroPoints.bytes=6");
    assertThatThrownBy(() ->
            WeightMatrix.int8(
                Int8Layout.perChannel(2, 3, WeightFormat.F32), eight, eight, null, null))
        .hasMessage("must be 6: data.bytes=8");
    assertThatThrownBy(() -> new Int8Layout(2, 3, 3, WeightFormat.FP8_E4M3))
        .hasMessage("must be F32, F16 or BF16: scaleFormat=FP8_E4M3");
    assertThatThrownBy(() -> new Int4Layout(0, 3, 3, WeightFormat.F16))
        .hasMessage("must be >= 1: rows=0");
  }

  @Test
  void scalesAndZerosAreReadWithinTheMatrix() {
    WeightMatrix matrix =
        WeightMatrix.int8(
            new Int8Layout(1, 3, 2, WeightFormat.F32),
            MemorySegment.ofArray(new byte[3]),
            MemorySegment.ofArray(new float[] {2f, 3f}),
            MemorySegment.ofArray(new byte[] {-128, 5}),
            null);
    assertThat(matrix.scale(0, 1)).isEqualTo(3f);
    assertThat(matrix.zeroPoint(0, 0)).isZero();
    assertThat(matrix.zeroPoint(0, 1)).isEqualTo(133);
    assertThatThrownBy(() -> matrix.scale(0, 2)).hasMessage("must be in [0, 2): g=2");
    assertThatThrownBy(() -> matrix.zeroPoint(1, 0)).hasMessage("must be in [0, 1): r=1");
    WeightMatrix dense =
        WeightMatrix.dense(WeightFormat.F32, 1, 1, MemorySegment.ofArray(new float[1]));
    assertThatThrownBy(() -> dense.scale(0, 0)).hasMessage("must be INT4 or INT8: format=F32");
  }
}
