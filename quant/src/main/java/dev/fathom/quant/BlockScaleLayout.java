package dev.fathom.quant;

/**
 * Where the elements and the scales of a matrix lie that is quantized in rectangular blocks, each
 * with one float32 multiplier.
 *
 * <p>A layout of 5 rows and 7 columns in blocks of 2 x 3; both edges are partial, so there are
 * ceil(5/2) = 3 block rows and ceil(7/3) = 3 block columns:
 *
 * <pre>
 *   elements: one E4M3 byte each, row-major        scales: one float32 each, row-major
 *
 *        c=0  1  2 | 3  4  5 | 6
 *   r=0   0  1  2  | 3  4  5  | 6                  byte  0   4   8
 *     1   7  8  9  |10 11 12  |13                       [S00 S01 S02]   rows 0, 1
 *        ----------+----------+---
 *     2  14 15 16  |17 18 19  |20                      12  16  20
 *     3  21 22 23  |24 25 26  |27                       [S10 S11 S12]   rows 2, 3
 *        ----------+----------+---
 *     4  28 29 30  |31 32 33  |34                      24  28  32
 *                                                       [S20 S21 S22]   row 4
 *        (the numbers are byte offsets)
 *
 *   W[r, c] = e4m3(data[r · cols + c]) · S[r / blockRows, c / blockCols]
 * </pre>
 *
 * <p>The DeepSeek-V3 tensor {@code kv_a_proj_with_mqa} [576, 7168] in blocks of 128 x 128 has
 * scales [5, 56]; its last block row covers 64 rows. The stored value is the multiplier, even where
 * its name ends in {@code _inv}.
 *
 * @param rows rows of the matrix (output features), at least 1
 * @param cols columns of the matrix (input features), at least 1
 * @param blockRows rows of a whole block, at least 1
 * @param blockCols columns of a whole block, at least 1
 */
public record BlockScaleLayout(int rows, int cols, int blockRows, int blockCols)
    implements WeightLayout {
  private static final int[] PUBLISHED_BLOCKS = {32, 64, 128};

  /**
   * Checks the sizes.
   *
   * @throws IllegalArgumentException if a size is below 1 or the scales do not fit 2^31-1 elements
   */
  public BlockScaleLayout {
    Checks.atLeast(1, "rows", rows);
    Checks.atLeast(1, "cols", cols);
    Checks.atLeast(1, "blockRows", blockRows);
    Checks.atLeast(1, "blockCols", blockCols);
    long scales = (long) Math.ceilDiv(rows, blockRows) * Math.ceilDiv(cols, blockCols);
    if (scales > Integer.MAX_VALUE) {
      throw new IllegalArgumentException("must be <= " + Integer.MAX_VALUE + ": scales=" + scales);
    }
  }

  /**
   * The layout of a matrix in square blocks.
   *
   * @throws IllegalArgumentException if a size is below 1
   */
  public static BlockScaleLayout square(int rows, int cols, int block) {
    return new BlockScaleLayout(rows, cols, block, block);
  }

  /**
   * The layout of a matrix with one multiplier for each row: {@code weight_scale} [rows, 1] of
   * compressed-tensors (float-quantized).
   *
   * @throws IllegalArgumentException if a size is below 1
   */
  public static BlockScaleLayout perChannel(int rows, int cols) {
    return new BlockScaleLayout(rows, cols, 1, cols);
  }

  /**
   * The layout of a matrix with a single multiplier: a scalar {@code weight_scale}.
   *
   * @throws IllegalArgumentException if a size is below 1
   */
  public static BlockScaleLayout perTensor(int rows, int cols) {
    return new BlockScaleLayout(rows, cols, rows, cols);
  }

  /**
   * The edge of the square blocks of a matrix whose checkpoint does not say it: the smallest b of
   * 32, 64, 128 with ceil(rows/b) = scaleRows and ceil(cols/b) = scaleCols.
   *
   * <p>Never {@code rows / scaleRows}: the last block may be partial (576 rows have 5 block rows of
   * 128). Where more than one b fits, they mean the same scales.
   *
   * @throws IllegalArgumentException if none fits
   */
  public static int deriveBlock(int rows, int cols, int scaleRows, int scaleCols) {
    Checks.atLeast(1, "rows", rows);
    Checks.atLeast(1, "cols", cols);
    for (int block : PUBLISHED_BLOCKS) {
      if (Math.ceilDiv(rows, block) == scaleRows && Math.ceilDiv(cols, block) == scaleCols) {
        return block;
      }
    }
    throw new IllegalArgumentException(
        "must be the scales of square blocks of 32, 64 or 128: weight=["
            + rows
            + ", "
            + cols
            + "] scales=["
            + scaleRows
            + ", "
            + scaleCols
            + "]");
  }

  /** Rows of the scale matrix: ceil(rows / blockRows). */
  public int scaleRows() {
    return Math.ceilDiv(rows, blockRows);
  }

  /** Columns of the scale matrix: ceil(cols / blockCols). */
  public int scaleCols() {
    return Math.ceilDiv(cols, blockCols);
  }

  /**
   * Index of the scale of element (r, c) in the row-major scale matrix; r and c are not checked.
   */
  public int scaleIndex(int r, int c) {
    return r / blockRows * scaleCols() + c / blockCols;
  }

  /** Bytes of the elements: rows · cols, one byte each. */
  @Override
  public long weightBytes() {
    return (long) rows * cols;
  }

  /** Bytes of the scales: scaleRows · scaleCols, four bytes each. */
  @Override
  public long scaleBytes() {
    return (long) scaleRows() * scaleCols() * Float.BYTES;
  }
}
