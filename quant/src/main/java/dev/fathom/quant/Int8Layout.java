package dev.fathom.quant;

import java.util.List;

/**
 * Row-major signed 8-bit integers with one scale a row or a group of columns; what
 * compressed-tensors calls {@code int-quantized}, and the form that kernels stream.
 *
 * <p>Two rows of 5 columns in groups of 3 (byte offsets):
 *
 * <pre>
 *   elements [rows, cols], I8                    scales [rows, groups]     zero points [rows, groups], I8
 *        c=0  1  2 | 3  4
 *   r=0   0  1  2  | 3  4                             [s00 s01]                 [z00 z01]
 *     1   5  6  7  | 8  9                             [s10 s11]                 [z10 z11]
 *
 *   W[r, c] = (q[r, c] - z[r, c / groupSize]) · s[r, c / groupSize]     q, z in [-128, 127]
 * </pre>
 *
 * <p>Without zero points z is 0 everywhere (symmetric). With a group index (I32 a column), g is
 * {@code groupIndex[c]}. The codes of {@link IntegerLayout} are these integers plus 128.
 *
 * @param rows rows of the matrix (output features), at least 1
 * @param cols columns of the matrix (input features), at least 1
 * @param groupSize columns of a whole group, at least 1; cols for one scale a row
 * @param scaleFormat F32, F16 or BF16
 */
public record Int8Layout(int rows, int cols, int groupSize, WeightFormat scaleFormat)
    implements IntegerLayout {
  /**
   * Checks the sizes.
   *
   * @throws IllegalArgumentException if a size is below 1 or the scale format needs scales itself
   */
  public Int8Layout {
    Checks.grouped(rows, cols, groupSize, scaleFormat);
  }

  /**
   * The layout with one scale a row.
   *
   * @throws IllegalArgumentException as the constructor
   */
  public static Int8Layout perChannel(int rows, int cols, WeightFormat scaleFormat) {
    return new Int8Layout(rows, cols, cols, scaleFormat);
  }

  @Override
  public int bits() {
    return 8;
  }

  /** Offset of the byte of element (r, c). */
  public long byteIndex(int r, int c) {
    return (long) r * cols + c;
  }

  /** Index of the scale, and of the zero point, of group g of row r. */
  public long scaleIndex(int r, int g) {
    return (long) r * groups() + g;
  }

  @Override
  public List<Integer> weightShape() {
    return List.of(rows, cols);
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
    return (long) rows * cols;
  }

  @Override
  public long zeroBytes() {
    return (long) rows * groups();
  }
}
