package dev.fathom.grammar;

import java.util.Arrays;

/**
 * Where a running rule returns to: the states of its callers, their counters and their own frames.
 * All callers that called a rule at the same place share one frame, so that ambiguity does not
 * multiply stacks. Immutable.
 *
 * <p>{@link #BOTTOM} is where a computation began: what returns to it has left what is known.
 */
final class Frame {

  /** The frame without callers. */
  static final Frame BOTTOM = new Frame(new int[0], new int[0], new Frame[0]);

  private final int[] states;
  private final int[] counts;
  private final Frame[] parents;
  private final int depth;
  private final int hash;

  Frame(int[] states, int[] counts, Frame[] parents) {
    this.states = states;
    this.counts = counts;
    this.parents = parents;
    int deepest = -1;
    int h = Arrays.hashCode(states) * 31 + Arrays.hashCode(counts);
    for (Frame parent : parents) {
      deepest = Math.max(deepest, parent.depth);
      h = h * 31 + parent.hash;
    }
    depth = deepest + 1;
    hash = h;
  }

  int numCallers() {
    return states.length;
  }

  int state(int caller) {
    return states[caller];
  }

  int count(int caller) {
    return counts[caller];
  }

  Frame parent(int caller) {
    return parents[caller];
  }

  /** Returns the same frame with another frame of a caller. */
  Frame withParent(int caller, Frame parent) {
    Frame[] changed = parents.clone();
    changed[caller] = parent;
    return new Frame(states, counts, changed);
  }

  /** Rules that are open below a rule with this frame. */
  int depth() {
    return depth;
  }

  /** Returns whether both return to the same places; of these places' frames identity counts. */
  boolean sameCallers(Frame other) {
    if (other == this) {
      return true;
    }
    boolean alike =
        other.hash == hash
            && Arrays.equals(states, other.states)
            && Arrays.equals(counts, other.counts);
    for (int i = 0; alike && i < parents.length; i++) {
      alike = parents[i] == other.parents[i];
    }
    return alike;
  }

  /**
   * Returns whether both return to the same places, and these to the same, down to the bottom. May
   * say no where the answer would take too long.
   *
   * @param budget frames that may be looked at, one number
   */
  boolean sameBelow(Frame other, int[] budget) {
    if (other == this) {
      return true;
    }
    boolean alike =
        --budget[0] > 0
            && other.hash == hash
            && Arrays.equals(states, other.states)
            && Arrays.equals(counts, other.counts);
    for (int i = 0; alike && i < parents.length; i++) {
      alike = parents[i].sameBelow(other.parents[i], budget);
    }
    return alike;
  }

  /** A hash that is equal where {@link #sameCallers} is true. */
  int callersHash() {
    return hash;
  }

  @Override
  public String toString() {
    return "Frame[depth=" + depth + ", callers=" + Arrays.toString(states) + "]";
  }
}
