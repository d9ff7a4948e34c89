package dev.fathom.quant;

import java.util.List;

/**
 * Where GPTQ checkpoints keep a linear: transposed, 8 (or with 8 bits, 4) consecutive input columns
 * of a row in a word.
 *
 * <p>Columns 8b .. 8b+7 of row r at 4 bits, and 4b .. 4b+3 at 8 bits, are one little endian word:
 *
 * <pre>
 *   bit   31..28  27..24  23..20  19..16  15..12  11..8   7..4    3..0
 *       +-------+-------+-------+-------+-------+-------+-------+-------+
 *       | 8b+7  | 8b+6  | 8b+5  | 8b+4  | 8b+3  | 8b+2  | 8b+1  | 8b+0  |   column of W, 4 bits
 *       +-------+-------+-------+-------+-------+-------+-------+-------+
 *       |     4b+3      |     4b+2      |     4b+1      |     4b+0      |   column of W, 8 bits
 *       +---------------+---------------+---------------+---------------+
 *
 *   qweight  I32 [cols/8, rows]       word (b, r)   q of columns 8b .. 8b+7, row r
 *   qzeros   I32 [groups, rows/8]     word (g, b)   zero points of rows 8b .. 8b+7, low first
 *   scales   F16 [groups, rows]       s of group g, row r
 *   g_idx    I32 [cols]               group of each column; without it, c / groupSize
 *
 *   W[r, c] = (q[r, c] - z[r, g]) · s[r, g]
 * </pre>
 *
 * <p>Files of version 1 store the zero point minus one, so z = (stored + 1) mod 2^bits; version 2
 * stores z. Source: Frantar et al., "GPTQ", and the files that AutoGPTQ and GPTQModel write.
 *
 * @param rows rows of the matrix (output features), a multiple of 32 / bits
 * @param cols columns of the matrix (input features), a multiple of 32 / bits
 * @param bits 4 or 8
 * @param groupSize columns of a whole group; cols for one group (-1 in the configuration)
 * @param zeros how zero points are stored
 * @param scaleFormat F16 as published; F32 and BF16 are read too
 */
public record GptqLayout(
    int rows, int cols, int bits, int groupSize, StoredZeros zeros, WeightFormat scaleFormat)
    implements IntegerLayout {
  /** How a GPTQ file stores the zero point z. */
  public enum StoredZeros {
    /** z - 1, modulo 2^bits: {@code checkpoint_format} absent or {@code gptq}. */
    MINUS_ONE,
    /** z itself: {@code gptq_v2}. */
    EXACT
  }

  /**
   * Checks the sizes.
   *
   * @throws IllegalArgumentException if bits is neither 4 nor 8, or rows or cols do not fill whole
   *     words, or a size is below 1
   */
  public GptqLayout {
    Checks.packedBits(bits);
    Checks.grouped(rows, cols, groupSize, scaleFormat);
    Checks.multiple(32 / bits, "rows", rows);
    Checks.multiple(32 / bits, "cols", cols);
  }

  /** Integers in one word: 8 or 4. */
  public int perWord() {
    return 1 << wordShift();
  }

  private int wordShift() {
    return bits == 4 ? 3 : 2;
  }

  /** Index of the word of element (r, c) in qweight. */
  public long wordIndex(int r, int c) {
    return (long) (c >> wordShift()) * rows + r;
  }

  /** Shift of column c in its word of weights, or of row r in its word of zero points. */
  public int shift(int position) {
    return (position & (perWord() - 1)) * bits;
  }

  /** Index of the word of the zero point of row r and group g in qzeros. */
  public long zeroIndex(int r, int g) {
    return (long) g * (rows / perWord()) + r / perWord();
  }

  /** The zero point that a stored integer means. */
  public int zero(int stored) {
    return zeros == StoredZeros.EXACT ? stored : (stored + 1) & ((1 << bits) - 1);
  }

  /** Index of the scale of row r and group g. */
  public long scaleIndex(int r, int g) {
    return (long) g * rows + r;
  }

  @Override
  public List<Integer> weightShape() {
    return List.of(cols / perWord(), rows);
  }

  @Override
  public List<Integer> scaleShape() {
    return List.of(groups(), rows);
  }

  @Override
  public List<Integer> zeroShape() {
    return List.of(groups(), rows / perWord());
  }

  @Override
  public long weightBytes() {
    return (long) (cols / perWord()) * rows * Integer.BYTES;
  }

  @Override
  public long zeroBytes() {
    return (long) groups() * (rows / perWord()) * Integer.BYTES;
  }
}
