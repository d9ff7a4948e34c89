package dev.fathom.grammar;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Text that a JSON string may hold as it is: well-formed UTF-8 without control characters, quotes
 * and backslashes; and the question whether a configuration accepts all of it.
 */
final class PlainText {

  /** Configurations looked at before the question is given up. */
  private static final int MAX_LOOKED_AT = 2_000;

  /** Asked first: bytes that most states refuse one of. */
  private static final byte[] PROBES = {' ', 'z', '<', (byte) 0xE4};

  /**
   * What may follow inside a character: index 0 between characters, 1 to 3 continuation bytes
   * missing, 4 to 7 after the leads that restrict their successor (E0, ED, F0, F4).
   */
  private static final int[][] NEXT = next();

  private PlainText() {}

  private static int[][] next() {
    int[][] next = new int[8][256];
    for (int[] row : next) {
      Arrays.fill(row, -1);
    }
    fill(next[0], 0x20, 0x7F, 0);
    next[0]['"'] = -1;
    next[0]['\\'] = -1;
    fill(next[0], 0xC2, 0xDF, 1);
    fill(next[0], 0xE1, 0xEF, 2);
    fill(next[0], 0xF1, 0xF3, 3);
    next[0][0xE0] = 4;
    next[0][0xED] = 5;
    next[0][0xF0] = 6;
    next[0][0xF4] = 7;
    fill(next[1], 0x80, 0xBF, 0);
    fill(next[2], 0x80, 0xBF, 1);
    fill(next[3], 0x80, 0xBF, 2);
    fill(next[4], 0xA0, 0xBF, 1);
    fill(next[5], 0x80, 0x9F, 1);
    fill(next[6], 0x90, 0xBF, 2);
    fill(next[7], 0x80, 0x8F, 2);
    return next;
  }

  private static void fill(int[] row, int first, int last, int value) {
    for (int b = first; b <= last; b++) {
      row[b] = value;
    }
  }

  /** Returns the length of the character at an index, 0 if none is whole and plain there. */
  static int lenAt(byte[] text, int from) {
    int state = 0;
    for (int i = from; i < text.length; i++) {
      state = NEXT[state][text[i] & 0xFF];
      if (state <= 0) {
        return state < 0 ? 0 : i + 1 - from;
      }
    }
    return 0;
  }

  /**
   * What plain text may do next, by classes of bytes: for each state above the representative
   * bytes, and for each of them the next state.
   */
  static byte[][] representatives(int[] classOf) {
    byte[][] found = new byte[NEXT.length][];
    for (int state = 0; state < found.length; state++) {
      Set<Integer> seen = new HashSet<>();
      byte[] row = new byte[256];
      int n = 0;
      for (int b = 0; b < 256; b++) {
        if (NEXT[state][b] >= 0 && seen.add(classOf[b] << 4 | NEXT[state][b])) {
          row[n++] = (byte) b;
        }
      }
      found[state] = Arrays.copyOf(row, n);
    }
    return found;
  }

  /**
   * Returns whether any plain text of up to some characters may follow. May say no where the answer
   * would take too long.
   *
   * @param representatives of the classes of the graph's network
   */
  static boolean accepts(
      Configuration from, int maxChars, ConfigurationGraph graph, byte[][] representatives) {
    for (byte probe : PROBES) {
      if (graph.next(from, probe).isDead()) {
        return false;
      }
    }
    Map<Place, Integer> fewest = new HashMap<>();
    ArrayDeque<Place> open = new ArrayDeque<>();
    Place first = new Place(from, 0);
    open.add(first);
    fewest.put(first, 0);
    int lookedAt = 0;
    while (!open.isEmpty()) {
      Place place = open.removeFirst();
      int before = fewest.getOrDefault(place, 0);
      if (++lookedAt > MAX_LOOKED_AT) {
        return false;
      }
      for (byte b : representatives[place.state()]) {
        Configuration next = graph.next(place.at(), b);
        if (next.isStuck()) {
          return false;
        }
        int state = NEXT[place.state()][b & 0xFF];
        int numChars = before + (state == 0 && maxChars != Integer.MAX_VALUE ? 1 : 0);
        Place then = new Place(next, state);
        if (numChars < maxChars && fewest.getOrDefault(then, Integer.MAX_VALUE) > numChars) {
          fewest.put(then, numChars);
          open.add(then);
        }
      }
    }
    return true;
  }

  /** A configuration, and where in a character it is. */
  private record Place(Configuration at, int state) {}
}
