package dev.fathom.grammar;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * All that a grammar may be in the middle of after some bytes: a set of states, each with the
 * counter of its rule and the {@link Frame} that the rule returns to, and whether the end is
 * allowed here. Only states that read something are listed; silent moves, calls and returns have
 * been followed.
 */
final class Configuration {

  final int[] states;
  final int[] counts;
  final Frame[] frames;

  /** Whether the rule at the bottom may end here. */
  final boolean ends;

  /** How deep frames are nested, or must still be, above the bottom. */
  final int depth;

  private final int hash;

  /** What follows each class of bytes, filled as it is asked for. Only for interned ones. */
  @Nullable Configuration @Nullable [] next;

  /** Its tokens, once they were asked for. Only for interned ones. */
  @Nullable TokenSet tokens;

  Configuration(int[] states, int[] counts, Frame[] frames, boolean ends, int depth) {
    this.states = states;
    this.counts = counts;
    this.frames = frames;
    this.ends = ends;
    this.depth = depth;
    int h = Arrays.hashCode(states) * 31 + Arrays.hashCode(counts);
    for (Frame frame : frames) {
      h = h * 31 + frame.callersHash();
    }
    this.hash = ends ? ~h : h;
  }

  int size() {
    return states.length;
  }

  /** Returns whether no byte can follow. */
  boolean isStuck() {
    return states.length == 0;
  }

  /** Returns whether nothing matches: neither a byte nor the end can follow. */
  boolean isDead() {
    return states.length == 0 && !ends;
  }

  /**
   * Returns whether both are the same, and all that lies below them; may say no, see {@link Frame}.
   */
  boolean sameBelow(Configuration other, int maxFrames) {
    boolean alike =
        other.hash == hash
            && other.ends == ends
            && Arrays.equals(states, other.states)
            && Arrays.equals(counts, other.counts);
    int[] budget = {maxFrames};
    for (int i = 0; alike && i < frames.length; i++) {
      alike = frames[i].sameBelow(other.frames[i], budget);
    }
    return alike;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Configuration c
        && c.hash == hash
        && c.ends == ends
        && Arrays.equals(states, c.states)
        && Arrays.equals(counts, c.counts)
        && Arrays.equals(frames, c.frames);
  }

  @Override
  public int hashCode() {
    return hash;
  }

  @Override
  public String toString() {
    return "Configuration[states=" + Arrays.toString(states) + ", ends=" + ends + "]";
  }
}
