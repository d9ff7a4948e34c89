package dev.fathom.quant;

/** How many columns share a scale, where a matrix does not allow what was asked for. */
public final class GroupSize {
  /** Groups below this are not worth their scales: a whole row is the group instead. */
  public static final int SMALLEST = 8;

  private static final int[] PUBLISHED = {128, 64, 32};

  private GroupSize() {}

  /**
   * The group that a matrix gets, so that its columns are whole groups, as published layouts want
   * it. The first of these that divides {@code cols}:
   *
   * <ol>
   *   <li>the requested group
   *   <li>the published groups below it, which other engines have kernels for: 128, 64, 32
   *   <li>the largest divisor of {@code cols} that is not above the requested group and at least
   *       {@value #SMALLEST} (so a row that is shorter than the group is one group)
   *   <li>{@code cols}, one scale a row: for prime numbers and their like
   * </ol>
   *
   * <p>576 columns asked for 128 get 64; 24 get 24; 40 asked for 32 get 20; 131 asked for 128 get
   * 131.
   *
   * @param requested columns a group, at least 1
   * @param cols input features, at least 1
   * @throws IllegalArgumentException if one is below 1
   */
  public static int fit(int requested, int cols) {
    Checks.atLeast(1, "requested", requested);
    Checks.atLeast(1, "cols", cols);
    if (cols % requested == 0) {
      return requested;
    }
    for (int group : PUBLISHED) {
      if (group < requested && cols % group == 0) {
        return group;
      }
    }
    for (int group = Math.min(requested, cols); group >= SMALLEST; group--) {
      if (cols % group == 0) {
        return group;
      }
    }
    return cols;
  }
}
