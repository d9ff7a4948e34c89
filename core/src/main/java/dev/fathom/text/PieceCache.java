package dev.fathom.text;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Remembers the tokens of pieces met before, shared by all threads without a lock.
 *
 * <p>A direct-mapped table of immutable entries: a piece's hash names its only slot, and a newcomer
 * takes the slot. Two threads may race for a slot; either's entry is right, since entries are
 * published by their final fields. Memory is bounded by {@link #NUM_SLOTS} entries of at most
 * {@link #MAX_PIECE_LEN} characters, about 8 MB when full.
 */
final class PieceCache {
  /** Longest piece that is kept, in UTF-16 units. */
  static final int MAX_PIECE_LEN = 32;

  private static final int NUM_SLOTS = 1 << 16;

  private final @Nullable Entry[] slots = new Entry[NUM_SLOTS];

  /** A piece and its tokens. */
  private static final class Entry {
    final int hash;
    final char[] piece;
    final int[] ids;

    Entry(int hash, char[] piece, int[] ids) {
      this.hash = hash;
      this.piece = piece;
      this.ids = ids;
    }
  }

  /** Returns the hash by which the other methods know a piece. */
  static int hash(char[] text, int start, int end) {
    int h = end - start;
    for (int i = start; i < end; i++) {
      h = h * 31 + text[i];
    }
    h *= 0x9E3779B9;
    return h ^ (h >>> 16);
  }

  /** Returns the tokens of a piece, null if they are not known. Callers must not change them. */
  int @Nullable [] get(int hash, char[] text, int start, int end) {
    Entry entry = slots[hash & (NUM_SLOTS - 1)];
    if (entry == null || entry.hash != hash || entry.piece.length != end - start) {
      return null;
    }
    char[] piece = entry.piece;
    for (int i = 0; i < piece.length; i++) {
      if (piece[i] != text[start + i]) {
        return null;
      }
    }
    return entry.ids;
  }

  /** Keeps the tokens of a piece of at most {@link #MAX_PIECE_LEN} units. */
  void put(int hash, char[] text, int start, int end, int[] ids) {
    slots[hash & (NUM_SLOTS - 1)] = new Entry(hash, Arrays.copyOfRange(text, start, end), ids);
  }
}
