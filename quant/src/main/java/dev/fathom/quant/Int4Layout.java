package dev.fathom.quant;

import java.util.List;

/**
 * Row-major 4-bit integers: the form that kernels stream and quantizers produce.
 *
 * <p>Two rows of 5 columns in groups of 2; a row starts at a byte, so that an odd number of columns
 * leaves the last high nibble unused (0), and the last group may be partial:
 *
 * <pre>
 *   elements, ceil(cols/2) bytes a row           bit 7..4   3..0
 *     byte     0          1          2
 *   r=0    [q01 q00]  [q03 q02]  [ -  q04]       q is unsigned: 0 to 15
 *     1    [q11 q10]  [q13 q12]  [ -  q14]
 *
 *   scales [rows, groups], row-major             zero points [rows, groups], one byte each, 0 to 15
 *          [s00 s01 s02]                                [z00 z01 z02]
 *          [s10 s11 s12]                                [z10 z11 z12]
 *
 *   W[r, c] = (q[r, c] - z[r, c / groupSize]) · s[r, c / groupSize]
 * </pre>
 *
 * <p>Without zero points z is 8 everywhere (symmetric). With a group index (I32 a column), g is
 * {@code groupIndex[c]}.
 *
 * @param rows rows of the matrix (output features), at least 1
 * @param cols columns of the matrix (input features), at least 1
 * @param groupSize columns of a whole group, at least 1; cols for one scale a row
 * @param scaleFormat F32, F16 or BF16
 */
public record Int4Layout(int rows, int cols, int groupSize, WeightFormat scaleFormat)
    implements IntegerLayout {
  /** The zero point of a symmetric matrix. */
  public static final int SYMMETRIC_ZERO = 8;

  /**
   * Checks the sizes.
   *
   * @throws IllegalArgumentException if a size is below 1 or the scale format needs scales itself
   */
  public Int4Layout {
    Checks.grouped(rows, cols, groupSize, scaleFormat);
  }

  @Override
  public int bits() {
    return 4;
  }

  /** Bytes of a row: ceil(cols / 2). */
  public int rowBytes() {
    return Math.ceilDiv(cols, 2);
  }

  /** Offset of the byte of element (r, c). */
  public long byteIndex(int r, int c) {
    return (long) r * rowBytes() + (c >> 1);
  }

  /** Shift of the nibble of column c in its byte: 0 or 4. */
  public static int shift(int c) {
    return (c & 1) << 2;
  }

  /** Index of the scale, and of the zero point, of group g of row r. */
  public long scaleIndex(int r, int g) {
    return (long) r * groups() + g;
  }

  @Override
  public List<Integer> weightShape() {
    return List.of(rows, rowBytes());
  }

  @Override
  public List<Integer> scaleShape() {
    return List.of(rows, groups());
  }

  @Override
  public List<Integer> zeroShape() {
    return List.of(rows, groups());
  }

  @Override
  public long weightBytes() {
    return (long) rows * rowBytes();
  }

  @Override
  public long zeroBytes() {
    return (long) rows * groups();
  }
}
