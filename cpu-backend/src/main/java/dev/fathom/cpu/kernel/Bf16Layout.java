package dev.fathom.cpu.kernel;

/** How rows of bfloat16 lie. */
public enum Bf16Layout {
  /** One after the other. */
  ROWS,
  /**
   * 32 rows together: [panel][C / 2][32][2], rows filled up to whole panels and columns to a
   * multiple of 32.
   */
  PANELS_OF_32,
  /** 64 rows together: [C / 2][64][2], columns filled up to a multiple of 32. */
  PANELS_OF_64;

  private static final int COLUMNS = 32;

  /** Returns the columns that so many are filled up to in panels. */
  public static int padded(int cols) {
    return Math.ceilDiv(cols, COLUMNS) * COLUMNS;
  }
}
