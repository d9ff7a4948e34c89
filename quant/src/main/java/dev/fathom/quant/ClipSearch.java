package dev.fathom.quant;

/**
 * A search for the part of a group's range that is worth covering: a smaller range has a finer
 * scale for most weights and clips the largest.
 *
 * <p>Each ratio 1 - i / 20 from 1 down to {@code smallest} is tried on both ends of the range; the
 * one with the smallest loss of its group is taken, of equal ones the largest. So the loss is never
 * above that of the whole range. Source: the clipping of AWQ (Lin et al.).
 *
 * @param loss what to make small
 * @param smallest the last ratio tried, above 0 and at most 1; 1 for no search
 */
public record ClipSearch(ErrorLoss loss, float smallest) {
  /** No clipping: each group covers its whole range. */
  public static final ClipSearch NONE = new ClipSearch(ErrorLoss.squares(), 1f);

  private static final int STEPS = 20;

  /**
   * Checks the ratio.
   *
   * @throws IllegalArgumentException if it is outside (0, 1]
   */
  public ClipSearch {
    if (!(smallest > 0f && smallest <= 1f)) {
      throw new IllegalArgumentException("must be in (0, 1]: smallest=" + smallest);
    }
  }

  /** A search down to half of the range. */
  public static ClipSearch of(ErrorLoss loss) {
    return new ClipSearch(loss, 0.5f);
  }

  /** Number of ratios tried: 1 without a search. */
  public int candidates() {
    return Math.min(STEPS, 1 + (int) Math.floor((1.0 - smallest) * STEPS + 1e-6));
  }

  /** Ratio i of {@link #candidates}, falling from 1. */
  public float ratio(int i) {
    return (float) (STEPS - i) / STEPS;
  }

  /**
   * Fits the grid to the best part of the range of {@code row[from, to)}.
   *
   * @param error scratch of at least {@code to} elements; overwritten
   */
  void fit(IntegerGrid grid, float[] row, int from, int to, float[] error) {
    float low = 0;
    float high = 0;
    for (int c = from; c < to; c++) {
      low = Math.min(low, row[c]);
      high = Math.max(high, row[c]);
    }
    float best = 1f;
    if (candidates() > 1) {
      double bestLoss = Double.POSITIVE_INFINITY;
      for (int i = 0; i < candidates(); i++) {
        grid.fit(low * ratio(i), high * ratio(i));
        for (int c = from; c < to; c++) {
          error[c] = row[c] - grid.value(grid.code(row[c]));
        }
        double loss = loss().of(error, from, to);
        if (loss < bestLoss) {
          bestLoss = loss;
          best = ratio(i);
        }
      }
    }
    grid.fit(low * best, high * best);
  }
}
