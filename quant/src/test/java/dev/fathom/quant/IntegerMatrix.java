package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * A matrix of integers as plain arrays, from which each format's test encodes its bytes: what
 * decoding must give back.
 */
final class IntegerMatrix {
  final int rows;
  final int cols;
  final int bits;
  final int groups;

  /** Unsigned codes [rows][cols]. */
  final int[][] q;

  /** Unsigned zero points [rows][groups]. */
  final int[][] z;

  /** Scales [rows][groups], each exactly a float16. */
  final float[][] s;

  /** Group of each column. */
  final int[] group;

  private IntegerMatrix(int rows, int cols, int bits, int groupSize) {
    this.rows = rows;
    this.cols = cols;
    this.bits = bits;
    this.groups = (cols + groupSize - 1) / groupSize;
    this.q = new int[rows][cols];
    this.z = new int[rows][groups];
    this.s = new float[rows][groups];
    this.group = new int[cols];
  }

  static IntegerMatrix random(int rows, int cols, int bits, int groupSize, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    IntegerMatrix m = new IntegerMatrix(rows, cols, bits, groupSize);
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < cols; c++) {
        m.q[r][c] = random.nextInt(1 << bits);
        m.group[c] = c / groupSize;
      }
      for (int g = 0; g < m.groups; g++) {
        m.z[r][g] = random.nextInt(1 << bits);
        m.s[r][g] = Float.float16ToFloat(Float.floatToFloat16(random.nextFloat(-0.1f, 0.1f)));
      }
    }
    return m;
  }

  IntegerMatrix symmetric() {
    for (int[] zeros : z) {
      Arrays.fill(zeros, 1 << (bits - 1));
    }
    return this;
  }

  /** Columns in a random order of groups, as activation order leaves them. */
  IntegerMatrix shuffledGroups(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (int c = cols - 1; c > 0; c--) {
      int other = random.nextInt(c + 1);
      int swapped = group[c];
      group[c] = group[other];
      group[other] = swapped;
    }
    return this;
  }

  float value(int r, int c) {
    int g = group[c];
    return (q[r][c] - z[r][g]) * s[r][g];
  }

  /** Float16 scales in [rows, groups] order. */
  MemorySegment rowScales(Arena arena) {
    MemorySegment out = Vectors.odd(arena, 2L * rows * groups);
    for (int r = 0; r < rows; r++) {
      for (int g = 0; g < groups; g++) {
        out.setAtIndex(Vectors.SHORT, (long) r * groups + g, Float.floatToFloat16(s[r][g]));
      }
    }
    return out;
  }

  /** Float16 scales in [groups, rows] order. */
  MemorySegment columnScales(Arena arena) {
    MemorySegment out = Vectors.odd(arena, 2L * rows * groups);
    for (int g = 0; g < groups; g++) {
      for (int r = 0; r < rows; r++) {
        out.setAtIndex(Vectors.SHORT, (long) g * rows + r, Float.floatToFloat16(s[r][g]));
      }
    }
    return out;
  }

  MemorySegment groupIndex(Arena arena) {
    return words(arena, group);
  }

  static MemorySegment words(Arena arena, int[] words) {
    MemorySegment out = Vectors.odd(arena, 4L * words.length);
    for (int i = 0; i < words.length; i++) {
      for (int b = 0; b < 4; b++) {
        out.set(ValueLayout.JAVA_BYTE, 4L * i + b, (byte) (words[i] >> (8 * b)));
      }
    }
    return out;
  }

  /** All elements, by row and one by one, bit for bit, and nothing beyond the row. */
  void assertDecodes(WeightMatrix matrix) {
    assertThat(matrix.rows()).isEqualTo(rows);
    assertThat(matrix.cols()).isEqualTo(cols);
    for (int r = 0; r < rows; r++) {
      for (int g = 0; g < groups; g++) {
        assertThat(matrix.scale(r, g)).isEqualTo(s[r][g]);
        assertThat(matrix.zeroPoint(r, g)).isEqualTo(z[r][g]);
      }
    }
    float[] row = new float[cols + 3];
    for (int r = 0; r < rows; r++) {
      Arrays.fill(row, 99f);
      matrix.decodeRow(r, row, 2);
      assertThat(row[1]).isEqualTo(99f);
      assertThat(row[cols + 2]).isEqualTo(99f);
      for (int c = 0; c < cols; c++) {
        int expected = Float.floatToRawIntBits(value(r, c));
        if (Float.floatToRawIntBits(row[2 + c]) != expected
            || Float.floatToRawIntBits(matrix.get(r, c)) != expected) {
          throw new AssertionError(
              "["
                  + r
                  + ", "
                  + c
                  + "] expected "
                  + value(r, c)
                  + ", row "
                  + row[2 + c]
                  + ", get "
                  + matrix.get(r, c));
        }
      }
    }
  }

  /** The matrix, and its repacked copy after the original is gone. */
  static void assertRepacks(IntegerMatrix expected, WeightMatrix matrix) {
    expected.assertDecodes(matrix);
    WeightMatrix repacked = matrix.repack(Arena.ofAuto());
    expected.assertDecodes(repacked);
    assertThat(repacked.packing())
        .isInstanceOf(expected.bits == 4 ? Int4Layout.class : Int8Layout.class);
    assertThat(repacked.repack(Arena.ofAuto())).isSameAs(repacked);
    assertThat(repacked.format()).isEqualTo(matrix.format());
  }
}
