package dev.fathom.text;

import java.util.Arrays;

/**
 * The merges of a byte-pair encoding: which adjacent pair of tokens becomes which token, and in
 * which order of preference.
 *
 * <p>An open-addressing map from pair to rank (the line of the merge in the file; lower merges
 * first). Filled by {@link TokenizerReader}, immutable afterwards.
 */
final class MergeTable {
  /** Rank of a pair that does not merge: behind all that do. */
  static final int NO_RANK = Integer.MAX_VALUE;

  private static final long FREE = -1;

  private long[] pairs;
  private int[] ranks;
  private int[] merged;
  private int size;

  MergeTable(int expected) {
    int capacity = Math.max(16, Integer.highestOneBit(Math.max(1, expected)) << 2);
    pairs = new long[capacity];
    Arrays.fill(pairs, FREE);
    ranks = new int[capacity];
    merged = new int[Math.max(16, expected)];
  }

  /** Returns the number of merges. */
  int size() {
    return size;
  }

  /** Returns the rank of a pair, {@link #NO_RANK} if it does not merge. */
  int rank(int left, int right) {
    long pair = pair(left, right);
    int slot = slot(pair, pairs);
    while (pairs[slot] != pair) {
      if (pairs[slot] == FREE) {
        return NO_RANK;
      }
      slot = (slot + 1) & (pairs.length - 1);
    }
    return ranks[slot];
  }

  /** Returns the token that the merge of this rank makes. */
  int merged(int rank) {
    return merged[rank];
  }

  /** Appends a merge of the next rank; as in HuggingFace, the last of two equal pairs counts. */
  void add(int left, int right, int result) {
    if ((size + 1) * 2 > pairs.length) {
      rehash();
    }
    if (size == merged.length) {
      merged = Arrays.copyOf(merged, size * 2);
    }
    merged[size] = result;
    put(pair(left, right), size);
    size++;
  }

  private void put(long pair, int rank) {
    int slot = slot(pair, pairs);
    while (pairs[slot] != FREE && pairs[slot] != pair) {
      slot = (slot + 1) & (pairs.length - 1);
    }
    pairs[slot] = pair;
    ranks[slot] = rank;
  }

  private void rehash() {
    long[] oldPairs = pairs;
    int[] oldRanks = ranks;
    pairs = new long[oldPairs.length * 2];
    Arrays.fill(pairs, FREE);
    ranks = new int[pairs.length];
    for (int i = 0; i < oldPairs.length; i++) {
      if (oldPairs[i] != FREE) {
        put(oldPairs[i], oldRanks[i]);
      }
    }
  }

  private static long pair(int left, int right) {
    return (long) left << 32 | right;
  }

  private static int slot(long pair, long[] table) {
    long h = pair * 0x9E3779B97F4A7C15L;
    return (int) (h >>> 32) & (table.length - 1);
  }
}
