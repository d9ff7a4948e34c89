package dev.fathom.quant;

import java.util.List;

/**
 * Where AWQ checkpoints (version {@code gemm}, 4 bits) keep a linear: transposed, eight output rows
 * in a word, in an order of their own.
 *
 * <p>Column c of rows 8b .. 8b+7 is one little endian word:
 *
 * <pre>
 *   bit   31..28  27..24  23..20  19..16  15..12  11..8   7..4    3..0
 *       +-------+-------+-------+-------+-------+-------+-------+-------+
 *       | 8b+7  | 8b+5  | 8b+3  | 8b+1  | 8b+6  | 8b+4  | 8b+2  | 8b+0  |   row of W
 *       +-------+-------+-------+-------+-------+-------+-------+-------+
 *
 *   qweight  I32 [cols, rows/8]               word (c, b)   q of rows 8b .. 8b+7, column c
 *   qzeros   I32 [cols/groupSize, rows/8]     word (g, b)   z of rows 8b .. 8b+7, group g
 *   scales   F16 [cols/groupSize, rows]       s of group g, row r
 *
 *   W[r, c] = (q[r, c] - z[r, c / groupSize]) · s[r, c / groupSize]     q, z in [0, 15]
 * </pre>
 *
 * <p>The versions {@code gemv} (packed along the input) and {@code marlin} are other formats.
 * Source: Lin et al., "AWQ: Activation-aware Weight Quantization", and the files that AutoAWQ
 * writes.
 *
 * @param rows rows of the matrix (output features), a multiple of 8
 * @param cols columns of the matrix (input features), a multiple of groupSize
 * @param groupSize columns that share scale and zero point; cols for one group
 * @param scaleFormat F16 as published; F32 and BF16 are read too
 */
public record AwqLayout(int rows, int cols, int groupSize, WeightFormat scaleFormat)
    implements IntegerLayout {
  private static final int ROWS_A_WORD = 8;

  /** Row 8b + i lies in nibble NIBBLE[i]: the inverse of the order 0, 2, 4, 6, 1, 3, 5, 7. */
  private static final int[] NIBBLE = {0, 4, 1, 5, 2, 6, 3, 7};

  /**
   * Checks the sizes.
   *
   * @throws IllegalArgumentException if rows is no multiple of 8, cols is no multiple of groupSize
   *     or a size is below 1
   */
  public AwqLayout {
    Checks.grouped(rows, cols, groupSize, scaleFormat);
    Checks.multiple(ROWS_A_WORD, "rows", rows);
    Checks.multiple(groupSize, "cols", cols);
  }

  /**
   * The published layout, with F16 scales.
   *
   * @throws IllegalArgumentException as the constructor
   */
  public static AwqLayout of(int rows, int cols, int groupSize) {
    return new AwqLayout(rows, cols, groupSize, WeightFormat.F16);
  }

  @Override
  public int bits() {
    return 4;
  }

  /** Words of one column, and of one group of zero points: rows / 8. */
  public int wordCols() {
    return rows / ROWS_A_WORD;
  }

  /** Index of the word of element (r, c) in qweight. */
  public long wordIndex(int r, int c) {
    return (long) c * wordCols() + r / ROWS_A_WORD;
  }

  /** Shift of row r in its words, of weights and zero points alike. */
  public static int shift(int r) {
    return NIBBLE[r & 7] << 2;
  }

  /** Index of the word of the zero point of row r and group g in qzeros. */
  public long zeroIndex(int r, int g) {
    return (long) g * wordCols() + r / ROWS_A_WORD;
  }

  /** Index of the scale of row r and group g. */
  public long scaleIndex(int r, int g) {
    return (long) g * rows + r;
  }

  @Override
  public List<Integer> weightShape() {
    return List.of(cols, wordCols());
  }

  @Override
  public List<Integer> scaleShape() {
    return List.of(groups(), rows);
  }

  @Override
  public List<Integer> zeroShape() {
    return List.of(groups(), wordCols());
  }

  @Override
  public long weightBytes() {
    return (long) cols * wordCols() * Integer.BYTES;
  }

  @Override
  public long zeroBytes() {
    return (long) groups() * wordCols() * Integer.BYTES;
  }
}
