package dev.fathom.text;

import java.util.Arrays;

/**
 * Encodes stretches of plain text for one caller: cuts them into pieces, takes known pieces from
 * the cache and merges the others. Not safe for several threads.
 */
final class PieceEncoder {
  private static final int MAX_UTF8_LEN = 3;

  private final PreTokenizer preTokenizer;
  private final PieceCache cache;
  private final BytePairEncoder merger;
  private final int[] unitIds;
  private byte[] bytes = new byte[PieceCache.MAX_PIECE_LEN * MAX_UTF8_LEN];

  /**
   * @param preTokenizer cuts the text
   * @param cache shared with other encoders of the same tokenizer
   * @param merger used by this encoder alone
   * @param unitIds the token of each ASCII character that is a piece of its own
   */
  PieceEncoder(PreTokenizer preTokenizer, PieceCache cache, BytePairEncoder merger, int[] unitIds) {
    this.preTokenizer = preTokenizer;
    this.cache = cache;
    this.merger = merger;
    this.unitIds = unitIds;
  }

  /** Appends the tokens of {@code text[start, end)}, which is seen as a text of its own. */
  void encode(char[] text, int start, int end, TokenIds out) {
    int from = start;
    while (from < end) {
      int to = preTokenizer.pieceEnd(text, from, end);
      if (to - from == 1 && text[from] < 0x80 && unitIds[text[from]] >= 0) {
        out.add(unitIds[text[from]]);
      } else if (to - from <= PieceCache.MAX_PIECE_LEN) {
        encodeCached(text, from, to, out);
      } else {
        merge(text, from, to, out);
      }
      from = to;
    }
  }

  private void encodeCached(char[] text, int from, int to, TokenIds out) {
    int hash = PieceCache.hash(text, from, to);
    int[] known = cache.get(hash, text, from, to);
    if (known != null) {
      out.addAll(known);
      return;
    }
    int before = out.size();
    merge(text, from, to, out);
    cache.put(hash, text, from, to, out.toArray(before));
  }

  private void merge(char[] text, int from, int to, TokenIds out) {
    int len = toUtf8(text, from, to);
    merger.encode(bytes, len, out);
  }

  /** Writes the UTF-8 of the units into {@link #bytes}; an unpaired surrogate becomes U+FFFD. */
  private int toUtf8(char[] text, int from, int to) {
    if (bytes.length < (long) (to - from) * MAX_UTF8_LEN) {
      bytes = Arrays.copyOf(bytes, Math.multiplyExact(to - from, MAX_UTF8_LEN));
    }
    byte[] out = bytes;
    int n = 0;
    for (int i = from; i < to; i++) {
      char c = text[i];
      if (c < 0x80) {
        out[n++] = (byte) c;
      } else if (c < 0x800) {
        out[n++] = (byte) (0xC0 | c >> 6);
        out[n++] = (byte) (0x80 | (c & 0x3F));
      } else if (!Character.isSurrogate(c)) {
        n = threeBytes(out, n, c);
      } else if (i + 1 < to && Character.isSurrogatePair(c, text[i + 1])) {
        n = fourBytes(out, n, Character.toCodePoint(c, text[++i]));
      } else {
        n = threeBytes(out, n, '\uFFFD');
      }
    }
    return n;
  }

  private static int threeBytes(byte[] out, int n, char c) {
    out[n] = (byte) (0xE0 | c >> 12);
    out[n + 1] = (byte) (0x80 | (c >> 6 & 0x3F));
    out[n + 2] = (byte) (0x80 | (c & 0x3F));
    return n + 3;
  }

  private static int fourBytes(byte[] out, int n, int codePoint) {
    out[n] = (byte) (0xF0 | codePoint >> 18);
    out[n + 1] = (byte) (0x80 | (codePoint >> 12 & 0x3F));
    out[n + 2] = (byte) (0x80 | (codePoint >> 6 & 0x3F));
    out[n + 3] = (byte) (0x80 | (codePoint & 0x3F));
    return n + 4;
  }
}
