package dev.fathom.cpu.kernel;

/**
 * Stored integers with a scale and a zero point for each row and group of columns, row by row; what
 * kernels repack.
 */
interface Integers {

  int rows();

  int cols();

  /** Returns 4 or 8. */
  int bits();

  /** Returns the groups of a row. */
  int groups();

  /** Returns the columns of a group; the last one may be shorter. */
  int groupSize();

  /** Returns whether a zero point is not the middle of the codes. */
  boolean hasZeros();

  /** Returns the scale of a group. */
  float scale(int r, int g);

  /** Returns the zero point of a group minus the middle of the codes. */
  int zero(int r, int g);

  /** Writes the codes of a row minus the middle of the codes: [C], -8 to 7 or -128 to 127. */
  void codes(int r, byte[] out);

  /** Writes codes minus zero points: [C]; for 8 bits only where there are no zero points. */
  default void differences(int r, byte[] out) {
    codes(r, out);
    if (hasZeros()) {
      for (int g = 0; g < groups(); g++) {
        int end = g == groups() - 1 ? cols() : (g + 1) * groupSize();
        int zero = zero(r, g);
        for (int c = g * groupSize(); c < end; c++) {
          out[c] -= (byte) zero;
        }
      }
    }
  }
}
