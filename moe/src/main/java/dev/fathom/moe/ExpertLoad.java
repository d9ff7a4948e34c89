package dev.fathom.moe;

import java.util.Arrays;

/**
 * How many tokens each expert of a layer has computed so far.
 *
 * <p>Threads: one writer; readers take a {@link #counts()} on the writer's thread.
 */
public final class ExpertLoad {
  private final long[] counts;
  private long total;

  /**
   * Counters at zero.
   *
   * @throws IllegalArgumentException if {@code numExperts} is below 1
   */
  public ExpertLoad(int numExperts) {
    Checks.atLeast(1, "numExperts", numExperts);
    counts = new long[numExperts];
  }

  /**
   * Adds the rows of a plan.
   *
   * @throws IllegalArgumentException if the plan has another number of experts
   */
  public void add(ExpertPlan plan) {
    if (plan.numExperts() != counts.length) {
      throw new IllegalArgumentException(
          "must be " + counts.length + ": plan.numExperts=" + plan.numExperts());
    }
    for (int j = 0; j < plan.numActiveExperts(); j++) {
      int e = plan.activeExpert(j);
      counts[e] += plan.count(e);
    }
    total += plan.numAssignments();
  }

  /** Sets all counters to zero. */
  public void reset() {
    Arrays.fill(counts, 0);
    total = 0;
  }

  /** E: experts counted. */
  public int numExperts() {
    return counts.length;
  }

  /**
   * Assignments of expert e so far.
   *
   * @throws IndexOutOfBoundsException if e is not in [0, E)
   */
  public long count(int e) {
    Checks.index("e", e, counts.length);
    return counts[e];
  }

  /** Assignments of all experts so far. */
  public long total() {
    return total;
  }

  /** A copy of the counters [E]. */
  public long[] counts() {
    return counts.clone();
  }

  /**
   * Mean over maximum of the counters: 1 if all experts did the same, 1/E if one did everything; 1
   * if nothing was counted.
   */
  public double balancedness() {
    long max = 0;
    for (long count : counts) {
      max = Math.max(max, count);
    }
    return max == 0 ? 1.0 : (double) total / counts.length / max;
  }
}
