package dev.fathom.text;

import java.util.Arrays;

/**
 * The bytes of every token: id to bytes, and for tokens in the byte alphabet also bytes to id.
 *
 * <p>All bytes lie in one array and the index is an open-addressing table of ids, so that reading
 * 128,000 tokens creates no objects. Filled by {@link TokenizerReader}, immutable afterwards.
 */
final class Vocabulary {
  /** No id. */
  static final int NONE = -1;

  private byte[] arena;
  private int arenaLen;
  private int[] starts;
  private int[] lens;
  private int[] hashes;

  /** Ids plus one; zero is a free slot. */
  private int[] table;

  private int numIndexed;
  private int size;

  /**
   * @param expected tokens to make room for; more may come
   */
  Vocabulary(int expected) {
    int capacity = Math.max(16, expected);
    arena = new byte[capacity * 8];
    starts = new int[capacity];
    lens = new int[capacity];
    hashes = new int[capacity];
    table = new int[Integer.highestOneBit(capacity) << 2];
  }

  /** Returns one more than the largest id. */
  int size() {
    return size;
  }

  /** Returns whether the id has a token. */
  boolean has(int id) {
    return id >= 0 && id < size && lens[id] >= 0;
  }

  int start(int id) {
    return starts[id];
  }

  int len(int id) {
    return lens[id];
  }

  /** Returns the array that holds all tokens; callers only read. */
  byte[] arena() {
    return arena;
  }

  /** Returns a copy of the token's bytes, empty for an id without a token. */
  byte[] bytes(int id) {
    return has(id) ? Arrays.copyOfRange(arena, starts[id], starts[id] + lens[id]) : new byte[0];
  }

  /** Returns the id of the indexed token with these bytes, or {@link #NONE}. */
  int find(byte[] bytes, int from, int to) {
    return table[slot(hash(bytes, from, to), bytes, from, to)] - 1;
  }

  /** Adds a token that {@link #find} does not find. Its id must be free. */
  void putLiteral(int id, byte[] bytes) {
    store(id, bytes, 0, bytes.length);
  }

  /** Adds a token; returns false, and adds nothing, if its bytes or its id are taken. */
  boolean putIndexed(int id, byte[] bytes, int from, int to) {
    if (numIndexed * 2 >= table.length) {
      rehash();
    }
    int hash = hash(bytes, from, to);
    int slot = slot(hash, bytes, from, to);
    if (table[slot] != 0 || has(id)) {
      return false;
    }
    store(id, bytes, from, to);
    hashes[id] = hash;
    table[slot] = id + 1;
    numIndexed++;
    return true;
  }

  /** The slot of the token with these bytes, or the free slot where it would be. */
  private int slot(int hash, byte[] bytes, int from, int to) {
    int mask = table.length - 1;
    int slot = hash & mask;
    while (table[slot] != 0) {
      int id = table[slot] - 1;
      if (hashes[id] == hash && equal(id, bytes, from, to)) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private void store(int id, byte[] bytes, int from, int to) {
    int len = to - from;
    if (arenaLen + len > arena.length) {
      arena = Arrays.copyOf(arena, Math.max(arenaLen + len, arena.length * 2));
    }
    if (id >= starts.length) {
      int capacity = Math.max(id + 1, starts.length * 2);
      starts = Arrays.copyOf(starts, capacity);
      lens = Arrays.copyOf(lens, capacity);
      hashes = Arrays.copyOf(hashes, capacity);
    }
    if (id >= size) {
      Arrays.fill(lens, size, id, -1);
      size = id + 1;
    }
    System.arraycopy(bytes, from, arena, arenaLen, len);
    starts[id] = arenaLen;
    lens[id] = len;
    arenaLen += len;
  }

  private void rehash() {
    int[] old = table;
    table = new int[old.length * 2];
    int mask = table.length - 1;
    for (int entry : old) {
      if (entry != 0) {
        int slot = hashes[entry - 1] & mask;
        while (table[slot] != 0) {
          slot = (slot + 1) & mask;
        }
        table[slot] = entry;
      }
    }
  }

  private boolean equal(int id, byte[] bytes, int from, int to) {
    int start = starts[id];
    return Arrays.equals(arena, start, start + lens[id], bytes, from, to);
  }

  private static int hash(byte[] bytes, int from, int to) {
    int h = 0;
    for (int i = from; i < to; i++) {
      h = h * 31 + bytes[i];
    }
    h *= 0x9E3779B9;
    return h ^ (h >>> 15);
  }
}
