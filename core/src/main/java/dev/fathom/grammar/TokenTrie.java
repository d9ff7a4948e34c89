package dev.fathom.grammar;

import java.util.Arrays;

/**
 * Tokens as a tree over their bytes, laid out in preorder: the children of a node follow it, and
 * {@link #end} says where its last descendant is passed. A walk is one loop over the arrays that
 * jumps where a prefix is impossible. Immutable.
 *
 * <pre>
 *   node   0    1    2    3    4        tokens "a", "ab", "b"
 *   label  -    a    b    b             (node 0 is the empty prefix)
 *   depth  0    1    2    1
 *   end    4    3    3    4
 *   token  -1   0    1    2
 * </pre>
 */
final class TokenTrie {

  /** No token ends at the node. */
  static final int NONE = -1;

  final byte[] label;
  final short[] depth;
  final int[] end;
  final int[] token;

  /** For each token another one with the same bytes, or {@link #NONE}. */
  private final int[] sameBytes;

  private final int maxDepth;

  private TokenTrie(byte[] label, short[] depth, int[] end, int[] token, int[] same, int deepest) {
    this.label = label;
    this.depth = depth;
    this.end = end;
    this.token = token;
    this.sameBytes = same;
    this.maxDepth = deepest;
  }

  /**
   * Makes the tree of some tokens.
   *
   * @param bytes of every token, not empty for those that are listed, at most 32767 long
   * @param ids in the order of their bytes, unsigned
   */
  static TokenTrie of(byte[][] bytes, int[] ids) {
    int numNodes = 1;
    byte[] previous = {};
    int deepest = 0;
    for (int id : ids) {
      numNodes += bytes[id].length - common(previous, bytes[id]);
      deepest = Math.max(deepest, bytes[id].length);
      previous = bytes[id];
    }
    byte[] label = new byte[numNodes];
    short[] depth = new short[numNodes];
    int[] end = new int[numNodes];
    int[] token = new int[numNodes];
    int[] same = new int[bytes.length];
    Arrays.fill(token, NONE);
    Arrays.fill(same, NONE);
    int[] open = new int[deepest + 1];
    int numOpen = 1;
    int node = 1;
    previous = new byte[0];
    for (int id : ids) {
      byte[] own = bytes[id];
      int shared = common(previous, own);
      for (; numOpen > shared + 1; numOpen--) {
        end[open[numOpen - 1]] = node;
      }
      for (int i = shared; i < own.length; i++) {
        label[node] = own[i];
        depth[node] = (short) (i + 1);
        open[numOpen++] = node++;
      }
      int at = open[numOpen - 1];
      same[id] = token[at];
      token[at] = id;
      previous = own;
    }
    for (; numOpen > 0; numOpen--) {
      end[open[numOpen - 1]] = node;
    }
    return new TokenTrie(label, depth, end, token, same, deepest);
  }

  private static int common(byte[] a, byte[] b) {
    int mismatch = Arrays.mismatch(a, b);
    return mismatch < 0 ? a.length : mismatch;
  }

  int numNodes() {
    return label.length;
  }

  /** Length of the longest token in bytes. */
  int maxDepth() {
    return maxDepth;
  }

  /** Length of the longest token below a node, or more. */
  int deepestBelow(int node) {
    return Math.min(maxDepth, depth[node] + end[node] - node);
  }

  boolean hasChildren(int node) {
    return end[node] > node + 1;
  }

  /** Returns all children of some nodes. */
  int[] childrenOf(int[] nodes) {
    int[] children = new int[64];
    int n = 0;
    for (int node : nodes) {
      for (int child = node + 1; child < end[node]; child = end[child]) {
        children = n == children.length ? Arrays.copyOf(children, n * 2) : children;
        children[n++] = child;
      }
    }
    return Arrays.copyOf(children, n);
  }

  /** Sorts nodes by their byte and returns where those of each byte start, 257 numbers. */
  int[] sortByLabel(int[] nodes) {
    int[] first = new int[257];
    for (int node : nodes) {
      first[(label[node] & 0xFF) + 1]++;
    }
    for (int b = 0; b < 256; b++) {
      first[b + 1] += first[b];
    }
    int[] next = Arrays.copyOf(first, 256);
    for (int node : nodes.clone()) {
      nodes[next[label[node] & 0xFF]++] = node;
    }
    return first;
  }

  /** Returns the node of the bytes from an index on, {@link #NONE} if no token starts so. */
  int find(byte[] bytes, int from) {
    int node = 0;
    for (int i = from; i < bytes.length; i++) {
      int child = node + 1;
      while (child < end[node] && label[child] != bytes[i]) {
        child = end[child];
      }
      if (child >= end[node]) {
        return NONE;
      }
      node = child;
    }
    return node;
  }

  /** Forbids all tokens that end at a node. */
  void forbid(int node, long[] mask) {
    for (int id = token[node]; id != NONE; id = sameBytes[id]) {
      mask[id >> 6] &= ~(1L << id);
    }
  }

  /** Allows all tokens that end at a node. */
  void allow(int node, long[] mask) {
    for (int id = token[node]; id != NONE; id = sameBytes[id]) {
      mask[id >> 6] |= 1L << id;
    }
  }
}
