package dev.fathom.cpu;

/**
 * The positions that a thread takes through a cache alone, with a softmax of their own: {@link
 * #SHORT} each, from {@link #LONGER_FROM} on {@link #LONG}. They are the same for every sequence,
 * however many threads there are.
 *
 * <p>A short segment shares out a short context evenly; each one has a state of {@link
 * HeadScratch#HEADS} heads (33 KB with values of 512 elements) that is written and read again.
 */
final class Segments {

  private static final int SHORT = 128;
  private static final int LONG = 256;
  private static final int NUM_SHORT = 8;
  private static final int LONGER_FROM = NUM_SHORT * SHORT;

  private Segments() {}

  /** Returns the first position of a segment. */
  static int begin(int segment) {
    int longer = segment - NUM_SHORT;
    return longer <= 0 ? segment * SHORT : LONGER_FROM + longer * LONG;
  }

  /** Returns the segments that so many positions fill or begin. */
  static long count(long positions) {
    return positions <= LONGER_FROM
        ? Math.ceilDiv(positions, SHORT)
        : NUM_SHORT + Math.ceilDiv(positions - LONGER_FROM, LONG);
  }

  /** Returns the segments that so many positions fill or begin. */
  static int count(int positions) {
    return (int) count((long) positions);
  }
}
