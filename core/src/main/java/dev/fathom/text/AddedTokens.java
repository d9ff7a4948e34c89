package dev.fathom.text;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * Finds added tokens (control tokens such as {@code <｜User｜>}) in text that may contain them: the
 * leftmost, and of those that start there the longest. A trie over UTF-16 units. Filled by {@link
 * TokenizerReader}, immutable afterwards.
 */
final class AddedTokens {
  private static final int MAX_ROOTS = 1 << 16;

  private final Map<String, Integer> ids = new HashMap<>();
  private final long[] roots = new long[MAX_ROOTS >> 6];

  /** Node 0 is the root; child and sibling links of 0 mean none. */
  private char[] units = new char[64];

  private int[] firstChild = new int[64];
  private int[] sibling = new int[64];
  private int[] tokenAt = new int[64];
  private int numNodes = 1;

  AddedTokens() {
    Arrays.fill(tokenAt, Vocabulary.NONE);
  }

  /** Adds a token of at least one character. */
  void add(String content, int id) {
    ids.put(content, id);
    char first = content.charAt(0);
    roots[first >> 6] |= 1L << first;
    int node = 0;
    for (int i = 0; i < content.length(); i++) {
      int child = child(node, content.charAt(i));
      node = child != 0 ? child : addChild(node, content.charAt(i));
    }
    tokenAt[node] = id;
  }

  boolean isEmpty() {
    return ids.isEmpty();
  }

  /** Returns the id of a token, {@link Vocabulary#NONE} if it is none. */
  int id(String content) {
    return ids.getOrDefault(content, Vocabulary.NONE);
  }

  /** Returns the tokens with their ids; callers only read. */
  Map<String, Integer> all() {
    return ids;
  }

  /** Returns the first index in {@code [start, end)} at which a token may start, or {@code end}. */
  int nextCandidate(char[] text, int start, int end) {
    int i = start;
    while (i < end && (roots[text[i] >> 6] & 1L << text[i]) == 0) {
      i++;
    }
    return i;
  }

  /** Returns the longest token that starts at {@code start} as {@code len << 32 | id}, or -1. */
  long longestAt(char[] text, int start, int end) {
    long found = -1;
    int node = 0;
    for (int i = start; i < end; i++) {
      node = child(node, text[i]);
      if (node == 0) {
        break;
      }
      if (tokenAt[node] >= 0) {
        found = (long) (i + 1 - start) << 32 | tokenAt[node];
      }
    }
    return found;
  }

  private int child(int node, char unit) {
    int child = firstChild[node];
    while (child != 0 && units[child] != unit) {
      child = sibling[child];
    }
    return child;
  }

  private int addChild(int node, char unit) {
    if (numNodes == units.length) {
      int capacity = numNodes * 2;
      units = Arrays.copyOf(units, capacity);
      firstChild = Arrays.copyOf(firstChild, capacity);
      sibling = Arrays.copyOf(sibling, capacity);
      tokenAt = Arrays.copyOf(tokenAt, capacity);
      Arrays.fill(tokenAt, numNodes, capacity, Vocabulary.NONE);
    }
    int child = numNodes++;
    units[child] = unit;
    sibling[child] = firstChild[node];
    firstChild[node] = child;
    return child;
  }
}
