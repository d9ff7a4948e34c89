package dev.fathom.text;

import java.util.Arrays;

/** A growing list of token ids. Not safe for several threads. */
final class TokenIds {
  private int[] ids;
  private int size;

  TokenIds(int capacity) {
    this.ids = new int[Math.max(4, capacity)];
  }

  void add(int id) {
    if (size == ids.length) {
      grow(size + 1);
    }
    ids[size++] = id;
  }

  void addAll(int[] more) {
    addAll(more, more.length);
  }

  void addAll(int[] more, int numIds) {
    if (size + numIds > ids.length) {
      grow(size + numIds);
    }
    System.arraycopy(more, 0, ids, size, numIds);
    size += numIds;
  }

  int size() {
    return size;
  }

  /** Returns a copy of the ids from index {@code from} on. */
  int[] toArray(int from) {
    return Arrays.copyOfRange(ids, from, size);
  }

  private void grow(int needed) {
    ids = Arrays.copyOf(ids, Math.max(needed, ids.length + (ids.length >> 1)));
  }
}
