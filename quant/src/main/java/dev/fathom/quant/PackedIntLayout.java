package dev.fathom.quant;

import java.util.List;

/**
 * Where compressed-tensors checkpoints of the format {@code pack-quantized} keep a linear: not
 * transposed, 8 (or with 8 bits, 4) consecutive columns of a row in a word.
 *
 * <p>Columns 8b .. 8b+7 of row r at 4 bits, and 4b .. 4b+3 at 8 bits, are one little endian word;
 * what lies beyond the last column is padding:
 *
 * <pre>
 *   bit   31..28  27..24  23..20  19..16  15..12  11..8   7..4    3..0
 *       +-------+-------+-------+-------+-------+-------+-------+-------+
 *       | 8b+7  | 8b+6  | 8b+5  | 8b+4  | 8b+3  | 8b+2  | 8b+1  | 8b+0  |   column of W, 4 bits
 *       +-------+-------+-------+-------+-------+-------+-------+-------+
 *       |     4b+3      |     4b+2      |     4b+1      |     4b+0      |   column of W, 8 bits
 *       +---------------+---------------+---------------+---------------+
 *
 *   weight_packed      I32 [rows, ceil(cols/8)]      word (r, b)   row r, columns 8b .. 8b+7
 *   weight_scale           [rows, groups]            s of row r, group g
 *   weight_zero_point  I32 [ceil(rows/8), groups]    word (b, g)   z of rows 8b .. 8b+7, low first
 *   weight_g_idx       I32 [cols]                    group of each column; without it, c / groupSize
 *   weight_shape       I64 [2]                       rows and cols, without padding
 *
 *   W[r, c] = (q[r, c] - z[r, g]) · s[r, g]     stored: q + 2^(bits-1), z + 2^(bits-1)
 * </pre>
 *
 * <p>Without zero points z is 0, which is the code 2^(bits-1). Widths other than 4 and 8 are packed
 * across words by newer writers and are not read. A strategy {@code tensor} has one scale; repeat
 * it for each row first. Source: the compressed-tensors library, format pack-quantized.
 *
 * @param rows rows of the matrix (output features), at least 1
 * @param cols columns of the matrix (input features), at least 1
 * @param bits 4 or 8
 * @param groupSize columns of a whole group; cols for one scale a row (strategy {@code channel})
 * @param scaleFormat F32, F16 or BF16
 */
public record PackedIntLayout(int rows, int cols, int bits, int groupSize, WeightFormat scaleFormat)
    implements IntegerLayout {
  /**
   * Checks the sizes.
   *
   * @throws IllegalArgumentException if bits is neither 4 nor 8 or a size is below 1
   */
  public PackedIntLayout {
    Checks.packedBits(bits);
    Checks.grouped(rows, cols, groupSize, scaleFormat);
  }

  /** Integers in one word: 8 or 4. */
  public int perWord() {
    return 1 << wordShift();
  }

  private int wordShift() {
    return bits == 4 ? 3 : 2;
  }

  /** Words of a row: ceil(cols · bits / 32). */
  public int rowWords() {
    return Math.ceilDiv(cols, perWord());
  }

  /** Index of the word of element (r, c) in weight_packed. */
  public long wordIndex(int r, int c) {
    return (long) r * rowWords() + (c >> wordShift());
  }

  /** Shift of column c in its word of weights, or of row r in its word of zero points. */
  public int shift(int position) {
    return (position & (perWord() - 1)) * bits;
  }

  /** Index of the word of the zero point of row r and group g in weight_zero_point. */
  public long zeroIndex(int r, int g) {
    return (long) (r / perWord()) * groups() + g;
  }

  /** Index of the scale of row r and group g. */
  public long scaleIndex(int r, int g) {
    return (long) r * groups() + g;
  }

  @Override
  public List<Integer> weightShape() {
    return List.of(rows, rowWords());
  }

  @Override
  public List<Integer> scaleShape() {
    return List.of(rows, groups());
  }

  @Override
  public List<Integer> zeroShape() {
    return List.of(Math.ceilDiv(rows, perWord()), groups());
  }

  @Override
  public long weightBytes() {
    return (long) rows * rowWords() * Integer.BYTES;
  }

  @Override
  public long zeroBytes() {
    return (long) Math.ceilDiv(rows, perWord()) * groups() * Integer.BYTES;
  }
}
