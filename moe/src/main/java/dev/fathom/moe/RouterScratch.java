package dev.fathom.moe;

/**
 * The memory that {@link Router} works in, so that routing allocates nothing.
 *
 * <p>Contents mean nothing between calls. Threads: one call at a time; give each thread its own.
 */
public final class RouterScratch {
  /** Unbiased scores [E]. */
  final float[] scores;

  /** What the choice is made by [E]. */
  final float[] choice;

  /** Scores of the groups [G], at most E. */
  final float[] groupScores;

  /** The kept groups, best first. */
  final int[] groupIds;

  /** True for the kept groups [G]. */
  final boolean[] groupKept;

  /**
   * Scratch for every rule with at most this many experts.
   *
   * @throws IllegalArgumentException if {@code numExperts} is below 1
   */
  public RouterScratch(int numExperts) {
    Checks.atLeast(1, "numExperts", numExperts);
    scores = new float[numExperts];
    choice = new float[numExperts];
    groupScores = new float[numExperts];
    groupIds = new int[numExperts];
    groupKept = new boolean[numExperts];
  }

  /** Experts of the largest rule that fits. */
  public int numExperts() {
    return scores.length;
  }
}
