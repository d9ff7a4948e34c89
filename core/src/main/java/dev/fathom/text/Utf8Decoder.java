package dev.fathom.text;

/**
 * Decodes UTF-8 that arrives in parts. An ill-formed sequence becomes one U+FFFD for each of its
 * maximal subparts (Unicode 16, section 3.9, as WHATWG and Rust's {@code from_utf8_lossy}), the
 * same wherever the bytes are cut. Holds back at most three bytes. Not safe for several threads.
 */
final class Utf8Decoder {
  private static final char REPLACEMENT = '\uFFFD';

  private int codePoint;
  private int needed;

  /** Range of the next continuation byte. */
  private int lower;

  private int upper;

  /** Appends the characters that {@code bytes[from, to)} completes. */
  void decode(byte[] bytes, int from, int to, StringBuilder out) {
    for (int i = from; i < to; i++) {
      int b = bytes[i] & 0xFF;
      if (needed == 0) {
        lead(b, out);
      } else if (b < lower || b > upper) {
        needed = 0;
        out.append(REPLACEMENT);
        lead(b, out);
      } else {
        continuation(b, out);
      }
    }
  }

  /** Ends the text: appends U+FFFD for an incomplete sequence and starts anew. */
  void flush(StringBuilder out) {
    if (needed > 0) {
      out.append(REPLACEMENT);
      needed = 0;
    }
  }

  private void lead(int b, StringBuilder out) {
    lower = 0x80;
    upper = 0xBF;
    if (b < 0x80) {
      out.append((char) b);
    } else if (b >= 0xC2 && b <= 0xDF) {
      expect(1, b & 0x1F);
    } else if (b >= 0xE0 && b <= 0xEF) {
      lower = b == 0xE0 ? 0xA0 : 0x80;
      upper = b == 0xED ? 0x9F : 0xBF;
      expect(2, b & 0xF);
    } else if (b >= 0xF0 && b <= 0xF4) {
      lower = b == 0xF0 ? 0x90 : 0x80;
      upper = b == 0xF4 ? 0x8F : 0xBF;
      expect(3, b & 0x7);
    } else {
      out.append(REPLACEMENT);
    }
  }

  private void expect(int numBytes, int bits) {
    needed = numBytes;
    codePoint = bits;
  }

  private void continuation(int b, StringBuilder out) {
    lower = 0x80;
    upper = 0xBF;
    codePoint = codePoint << 6 | (b & 0x3F);
    if (--needed == 0) {
      out.appendCodePoint(codePoint);
    }
  }
}
