package dev.fathom.text;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Merges the bytes of one piece into tokens: again and again the adjacent pair of the lowest rank,
 * the leftmost of equals, until none merges.
 *
 * <p>Short pieces scan an array of ranks; long ones keep the candidates in a heap over a linked
 * list, so that a piece of n bytes takes O(n log n) whatever it says. Holds scratch memory: one
 * instance for each thread.
 */
final class BytePairEncoder {
  /** Longest piece, in bytes, for which scanning beats the heap. */
  private static final int MAX_SCANNED_LEN = 40;

  private final int[] byteIds;
  private final MergeTable merges;
  private final @Nullable Vocabulary wholePieces;
  private int[] ids = new int[64];
  private int[] ranks = new int[64];
  private long[] heap = {};
  private int heapSize;
  private int[] previous = {};
  private int[] next = {};

  /**
   * @param byteIds the token of each byte, {@link Vocabulary#NONE} where the vocabulary lacks it
   * @param merges which pairs become which token
   * @param wholePieces tokens that are taken without merging where they are a whole piece ({@code
   *     ignore_merges}), null for none
   */
  BytePairEncoder(int[] byteIds, MergeTable merges, @Nullable Vocabulary wholePieces) {
    this.byteIds = byteIds;
    this.merges = merges;
    this.wholePieces = wholePieces;
  }

  /** Appends the tokens of {@code bytes[0, len)}. Bytes without a token are dropped. */
  void encode(byte[] bytes, int len, TokenIds out) {
    int whole = wholePieces == null ? Vocabulary.NONE : wholePieces.find(bytes, 0, len);
    if (whole != Vocabulary.NONE) {
      out.add(whole);
      return;
    }
    if (ids.length < len) {
      ids = new int[len];
      ranks = new int[Math.min(len, MAX_SCANNED_LEN + 1)];
    }
    int n = 0;
    for (int i = 0; i < len; i++) {
      int id = byteIds[bytes[i] & 0xFF];
      if (id >= 0) {
        ids[n++] = id;
      }
    }
    out.addAll(ids, n <= MAX_SCANNED_LEN ? mergeByScan(n) : mergeByHeap(n));
  }

  /** Merges {@code ids[0, n)} in place; returns how many are left. */
  private int mergeByScan(int n) {
    for (int i = 0; i + 1 < n; i++) {
      ranks[i] = merges.rank(ids[i], ids[i + 1]);
    }
    int left = n;
    while (left > 1) {
      int best = 0;
      for (int i = 1; i < left - 1; i++) {
        if (ranks[i] < ranks[best]) {
          best = i;
        }
      }
      if (ranks[best] == MergeTable.NO_RANK) {
        break;
      }
      mergeAt(best, left--);
    }
    return left;
  }

  private void mergeAt(int i, int n) {
    ids[i] = merges.merged(ranks[i]);
    System.arraycopy(ids, i + 2, ids, i + 1, n - i - 2);
    if (i + 2 < n) {
      System.arraycopy(ranks, i + 2, ranks, i + 1, n - i - 3);
      ranks[i] = merges.rank(ids[i], ids[i + 1]);
    }
    if (i > 0) {
      ranks[i - 1] = merges.rank(ids[i - 1], ids[i]);
    }
  }

  private int mergeByHeap(int n) {
    link(n);
    heapSize = 0;
    for (int i = 0; i + 1 < n; i++) {
      offer(i);
    }
    while (heapSize > 0) {
      long candidate = poll();
      int i = (int) candidate;
      int rank = (int) (candidate >>> 32);
      int right = ids[i] < 0 ? n : next[i];
      if (right == n || merges.rank(ids[i], ids[right]) != rank) {
        continue;
      }
      ids[i] = merges.merged(rank);
      ids[right] = Vocabulary.NONE;
      next[i] = next[right];
      if (next[i] < n) {
        previous[next[i]] = i;
        offer(i);
      }
      if (previous[i] >= 0) {
        offer(previous[i]);
      }
    }
    return compact(n);
  }

  private void link(int n) {
    if (next.length < n) {
      next = new int[n];
      previous = new int[n];
      heap = new long[n];
    }
    for (int i = 0; i < n; i++) {
      previous[i] = i - 1;
      next[i] = i + 1;
    }
  }

  private int compact(int n) {
    int left = 0;
    for (int i = 0; i < n; i = next[i]) {
      ids[left++] = ids[i];
    }
    return left;
  }

  /** Puts the pair that starts at index {@code i} into the heap if it merges. */
  private void offer(int i) {
    int rank = merges.rank(ids[i], ids[next[i]]);
    if (rank == MergeTable.NO_RANK) {
      return;
    }
    if (heapSize == heap.length) {
      heap = Arrays.copyOf(heap, heap.length * 2);
    }
    long candidate = (long) rank << 32 | i;
    int child = heapSize++;
    while (child > 0) {
      int parent = (child - 1) >>> 1;
      if (heap[parent] <= candidate) {
        break;
      }
      heap[child] = heap[parent];
      child = parent;
    }
    heap[child] = candidate;
  }

  private long poll() {
    long top = heap[0];
    long last = heap[--heapSize];
    int parent = 0;
    for (int child = 1; child < heapSize; child = 2 * parent + 1) {
      if (child + 1 < heapSize && heap[child + 1] < heap[child]) {
        child++;
      }
      if (heap[child] >= last) {
        break;
      }
      heap[parent] = heap[child];
      parent = child;
    }
    heap[parent] = last;
    return top;
  }
}
