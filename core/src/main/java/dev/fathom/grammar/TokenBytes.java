package dev.fathom.grammar;

import dev.fathom.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * A vocabulary as grammars see it: the bytes of its ordinary tokens as a tree. Added tokens and ids
 * without a token are left out: they are allowed only where a grammar names them.
 *
 * <p>Most tokens are text that may stand inside a JSON string. They are also kept as ready sets,
 * with a tree of the others beside each, so that a state that accepts all such text need not look
 * at each of 100,000 tokens. (The idea of slices is that of the llguidance project.)
 *
 * <p>Immutable; safe for several threads. Takes about 12 MB for 128,000 tokens.
 */
public final class TokenBytes {

  private static final byte[] NO_BYTES = {};
  private static final int[] SLICE_LENS = {Integer.MAX_VALUE, 24, 10};

  private final byte[][] bytes;
  private final int numWords;
  private final TokenTrie all;
  private final List<Slice> slices;

  /**
   * Text that may stand in a JSON string, of at most so many characters.
   *
   * @param maxChars characters, {@link Integer#MAX_VALUE} for any number
   * @param tokens the set
   * @param others the tree of all tokens that are not in it
   */
  record Slice(int maxChars, long[] tokens, TokenTrie others) {}

  /** Takes the bytes of each token; empty ones are not ordinary. */
  TokenBytes(byte[][] bytes, int vocabSize) {
    this.bytes = bytes;
    this.numWords = Math.ceilDiv(vocabSize, Long.SIZE);
    int[] ids = sorted(bytes);
    this.all = TokenTrie.of(bytes, ids);
    List<Slice> made = new ArrayList<>();
    for (int maxChars : SLICE_LENS) {
      long[] tokens = new long[numWords];
      int[] others = Arrays.stream(ids).filter(id -> !isPlain(bytes[id], maxChars)).toArray();
      BitSet rest = new BitSet();
      Arrays.stream(others).forEach(rest::set);
      for (int id : ids) {
        if (!rest.get(id)) {
          tokens[id >> 6] |= 1L << id;
        }
      }
      made.add(new Slice(maxChars, tokens, TokenTrie.of(bytes, others)));
    }
    this.slices = List.copyOf(made);
  }

  /**
   * Reads a vocabulary.
   *
   * @param vocabSize ids of the model, at least 1; tokens beyond are left out
   */
  public static TokenBytes of(Tokenizer tokenizer, int vocabSize) {
    byte[][] bytes = new byte[Math.max(vocabSize, tokenizer.size())][];
    for (int id = 0; id < bytes.length; id++) {
      boolean ordinary =
          id < vocabSize
              && id < tokenizer.size()
              && !tokenizer.isAdded(id)
              && !tokenizer.isSpecial(id);
      bytes[id] = ordinary ? tokenizer.tokenBytes(id) : new byte[0];
    }
    return new TokenBytes(bytes, vocabSize);
  }

  private static int[] sorted(byte[][] bytes) {
    Integer[] ids = new Integer[bytes.length];
    int n = 0;
    for (int id = 0; id < bytes.length; id++) {
      if (bytes[id].length > 0 && bytes[id].length <= Short.MAX_VALUE) {
        ids[n++] = id;
      }
    }
    Arrays.sort(ids, 0, n, (a, b) -> Arrays.compareUnsigned(bytes[a], bytes[b]));
    int[] sorted = new int[n];
    for (int i = 0; i < n; i++) {
      sorted[i] = ids[i];
    }
    return sorted;
  }

  /** Whether a token is well-formed UTF-8 of characters that JSON need not escape. */
  private static boolean isPlain(byte[] token, int maxChars) {
    int numChars = 0;
    int i = 0;
    while (i < token.length) {
      int len = PlainText.lenAt(token, i);
      if (len == 0 || ++numChars > maxChars) {
        return false;
      }
      i += len;
    }
    return true;
  }

  /** Returns the bytes of an ordinary token, empty for any other id; callers only read. */
  byte[] bytes(int tokenId) {
    return tokenId >= 0 && tokenId < bytes.length ? bytes[tokenId] : NO_BYTES;
  }

  /** Returns a new mask of all ordinary tokens. */
  public long[] ordinary() {
    long[] mask = new long[numWords];
    for (int id = 0; id < bytes.length; id++) {
      if (bytes[id].length > 0) {
        mask[id >> 6] |= 1L << id;
      }
    }
    return mask;
  }

  TokenTrie all() {
    return all;
  }

  List<Slice> slices() {
    return slices;
  }

  /** Returns the words of a mask. */
  int numWords() {
    return numWords;
  }

  @Override
  public String toString() {
    return "TokenBytes[nodes=" + all.numNodes() + "]";
  }
}
