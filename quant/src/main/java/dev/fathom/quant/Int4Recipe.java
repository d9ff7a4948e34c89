package dev.fathom.quant;

/**
 * What the 4-bit integers of a matrix look like; see {@link GroupSize#fit} for the group.
 *
 * @param groupSize columns that share scale and zero point, at least 1; the last group of a row may
 *     be partial, which AWQ does not allow
 * @param zeros with or without zero points
 * @param scaleFormat F32, F16 or BF16
 */
public record Int4Recipe(int groupSize, ZeroPoints zeros, WeightFormat scaleFormat) {
  /**
   * Checks group and scale.
   *
   * @throws IllegalArgumentException if the group is below 1 or the scale format needs scales
   *     itself
   */
  public Int4Recipe {
    Checks.grouped(1, 1, groupSize, scaleFormat);
  }

  /** The layout of a matrix of this recipe. */
  public Int4Layout layout(int rows, int cols) {
    return new Int4Layout(rows, cols, groupSize, scaleFormat);
  }

  IntegerGrid grid() {
    return new IntegerGrid(4, zeros, scaleFormat);
  }
}
