package dev.fathom.moe;

import java.util.Arrays;

/**
 * Who computes what in one step: the assignments (token, expert) of a step, sorted by expert.
 *
 * <p>Row i of the plan is one assignment. The rows of expert e are {@code [offset(e), offset(e) +
 * count(e))}, in rising token order, so a backend gathers the tokens of an expert, multiplies once
 * with its weights, and scatters back. Example with T = 3, K = 2, E = 4:
 *
 * <pre>
 *   expertIds  token 0: 2 0     token 1: 0 3     token 2: 2 3
 *
 *   row             0  1 | 2  3 | 4  5
 *   expert          0  0 | 2  2 | 3  3        offset  0 2 2 4   count  2 0 2 2
 *   tokenOf(row)    0  1 | 0  2 | 1  2
 *   slotOf(row)     1  0 | 0  0 | 1  1        weight of a row: weights[tokenOf · K + slotOf]
 * </pre>
 *
 * <p>A plan is built again for each layer and step and grows its arrays only when a step is larger
 * than all before. Threads: one writer; any number of readers after {@link #build} has been
 * published to them.
 */
public final class ExpertPlan {
  private int numTokens;
  private int topK;
  private int numExperts;
  private int numActive;
  private int[] offsets = new int[1];
  private int[] next = new int[0];
  private int[] active = new int[0];
  private int[] assignments = new int[0];

  /** An empty plan; {@link #build} fills it. */
  public ExpertPlan() {}

  /**
   * Sorts the assignments of a step by expert: a counting sort, stable by token.
   *
   * @param numTokens T, at least 0
   * @param topK K, at least 1
   * @param expertIds [T, K], row-major, each in [0, E); longer arrays are fine
   * @param numExperts E, at least 1
   * @throws IllegalArgumentException if a size is too small
   * @throws IndexOutOfBoundsException if the array is too short or an id is outside; the plan stays
   *     as it was
   */
  public void build(int numTokens, int topK, int[] expertIds, int numExperts) {
    Checks.atLeast(0, "numTokens", numTokens);
    Checks.atLeast(1, "topK", topK);
    Checks.atLeast(1, "numExperts", numExperts);
    int count = Math.multiplyExact(numTokens, topK);
    Checks.range("expertIds", 0, count, expertIds.length);
    for (int a = 0; a < count; a++) {
      Checks.index("expertId", expertIds[a], numExperts);
    }
    this.numTokens = numTokens;
    this.topK = topK;
    this.numExperts = numExperts;
    grow(count, numExperts);
    Arrays.fill(offsets, 0, numExperts + 1, 0);
    for (int a = 0; a < count; a++) {
      offsets[expertIds[a] + 1]++;
    }
    accumulate();
    for (int a = 0; a < count; a++) {
      assignments[next[expertIds[a]]++] = a;
    }
  }

  private void grow(int count, int numExperts) {
    if (assignments.length < count) {
      assignments = new int[count];
    }
    if (next.length < numExperts) {
      next = new int[numExperts];
      active = new int[numExperts];
      offsets = new int[numExperts + 1];
    }
  }

  /** Turns the counts in {@code offsets[1..E]} into offsets and collects the active experts. */
  private void accumulate() {
    numActive = 0;
    for (int e = 0; e < numExperts; e++) {
      if (offsets[e + 1] > 0) {
        active[numActive++] = e;
      }
      next[e] = offsets[e];
      offsets[e + 1] += offsets[e];
    }
  }

  /** T: tokens of the step. */
  public int numTokens() {
    return numTokens;
  }

  /** K: experts of each token. */
  public int topK() {
    return topK;
  }

  /** E: experts of the layer. */
  public int numExperts() {
    return numExperts;
  }

  /** Rows of the plan: T · K. */
  public int numAssignments() {
    return numTokens * topK;
  }

  /** Experts with at least one row. */
  public int numActiveExperts() {
    return numActive;
  }

  /**
   * The j-th expert with at least one row, in rising order.
   *
   * @throws IndexOutOfBoundsException if j is not in [0, numActiveExperts())
   */
  public int activeExpert(int j) {
    Checks.index("j", j, numActive);
    return active[j];
  }

  /**
   * First row of expert e.
   *
   * @throws IndexOutOfBoundsException if e is not in [0, E)
   */
  public int offset(int e) {
    Checks.index("e", e, numExperts);
    return offsets[e];
  }

  /**
   * Rows of expert e.
   *
   * @throws IndexOutOfBoundsException if e is not in [0, E)
   */
  public int count(int e) {
    Checks.index("e", e, numExperts);
    return offsets[e + 1] - offsets[e];
  }

  /**
   * The assignment of row i as {@code token · K + slot}: its index in {@code expertIds} and in the
   * weights.
   *
   * @throws IndexOutOfBoundsException if i is not in [0, numAssignments())
   */
  public int assignmentOf(int i) {
    Checks.index("i", i, numAssignments());
    return assignments[i];
  }

  /**
   * The token of row i.
   *
   * @throws IndexOutOfBoundsException if i is not in [0, numAssignments())
   */
  public int tokenOf(int i) {
    return assignmentOf(i) / topK;
  }

  /**
   * Which of its token's K choices row i is.
   *
   * @throws IndexOutOfBoundsException if i is not in [0, numAssignments())
   */
  public int slotOf(int i) {
    return assignmentOf(i) % topK;
  }
}
