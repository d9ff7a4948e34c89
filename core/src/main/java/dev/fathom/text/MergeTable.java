package dev.fathom.text;

import java.util.Arrays;

/**
 * The merges of a byte-pair encoding: which adjacent pair of tokens becomes which token, and in
 * which order of preference.
 *
 * <p>An open-addressing map from pair to rank (the line of the merge in the file; lower merges
 * first). One long holds an entry, so that a look-up touches one cache line:
 *
 * <pre>{@code
 * | left: 22 bits | right: 22 bits | rank: 20 bits |
 * }</pre>
 *
 * <p>Filled by {@link TokenizerReader}, immutable afterwards.
 */
final class MergeTable {
  /** Rank of a pair that does not merge: behind all that do. */
  static final int NO_RANK = Integer.MAX_VALUE;

  /** Bits of a token id. */
  static final int ID_BITS = 22;

  private static final int RANK_BITS = 20;
  private static final int RANK_MASK = (1 << RANK_BITS) - 1;

  /** Most merges: the largest rank marks a free slot. */
  static final int MAX_SIZE = RANK_MASK;

  private static final long FREE = -1;

  private long[] entries;
  private int[] merged;
  private int size;

  MergeTable(int expected) {
    entries = new long[Math.max(16, Integer.highestOneBit(Math.max(1, expected)) << 2)];
    Arrays.fill(entries, FREE);
    merged = new int[Math.max(16, expected)];
  }

  /** Returns the number of merges. */
  int size() {
    return size;
  }

  /** Returns the rank of a pair, {@link #NO_RANK} if it does not merge. */
  int rank(int left, int right) {
    long[] table = entries;
    long pair = pair(left, right);
    int slot = slot(pair, table.length);
    while (true) {
      long entry = table[slot];
      if (entry == FREE) {
        return NO_RANK;
      }
      if (entry >>> RANK_BITS == pair) {
        return (int) entry & RANK_MASK;
      }
      slot = (slot + 1) & (table.length - 1);
    }
  }

  /** Returns the token that the merge of this rank makes. */
  int merged(int rank) {
    return merged[rank];
  }

  /**
   * Appends a merge of the next rank; as in HuggingFace, the last of two equal pairs counts. At
   * most {@link #MAX_SIZE}.
   */
  void add(int left, int right, int result) {
    if ((size + 1) * 2 > entries.length) {
      rehash();
    }
    if (size == merged.length) {
      merged = Arrays.copyOf(merged, size * 2);
    }
    merged[size] = result;
    put(pair(left, right) << RANK_BITS | size);
    size++;
  }

  private void put(long entry) {
    long pair = entry >>> RANK_BITS;
    int slot = slot(pair, entries.length);
    while (entries[slot] != FREE && entries[slot] >>> RANK_BITS != pair) {
      slot = (slot + 1) & (entries.length - 1);
    }
    entries[slot] = entry;
  }

  private void rehash() {
    long[] old = entries;
    entries = new long[old.length * 2];
    Arrays.fill(entries, FREE);
    for (long entry : old) {
      if (entry != FREE) {
        put(entry);
      }
    }
  }

  private static long pair(int left, int right) {
    return (long) left << ID_BITS | right;
  }

  private static int slot(long pair, int numSlots) {
    return (int) ((pair * 0x9E3779B97F4A7C15L) >>> 32) & (numSlots - 1);
  }
}
