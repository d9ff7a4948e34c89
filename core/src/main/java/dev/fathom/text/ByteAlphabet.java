package dev.fathom.text;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The alphabet in which byte-level vocabularies write their tokens: one visible character for each
 * of the 256 bytes.
 *
 * <p>Bytes 33-126, 161-172 and 174-255 stand for themselves; the other 68, in order, are U+0100 to
 * U+0143. A space reads {@code Ġ}, a line feed {@code Ċ}. Source: GPT-2's {@code bytes_to_unicode}.
 */
final class ByteAlphabet {
  private static final int NUM_CHARS = 0x144;

  /** The byte of each character, or -1. */
  private static final short[] BYTE_OF = new short[NUM_CHARS];

  static {
    Arrays.fill(BYTE_OF, (short) -1);
    int shifted = 0;
    for (int b = 0; b < 256; b++) {
      boolean itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      BYTE_OF[itself ? b : 256 + shifted++] = (short) b;
    }
  }

  private ByteAlphabet() {}

  /** Returns the byte, 0 to 255, that a character stands for, or -1 if it stands for none. */
  static int byteOf(char c) {
    return c < NUM_CHARS ? BYTE_OF[c] : -1;
  }

  /** Returns whether every character of the text stands for a byte. */
  static boolean covers(CharSequence text) {
    for (int i = 0; i < text.length(); i++) {
      if (byteOf(text.charAt(i)) < 0) {
        return false;
      }
    }
    return true;
  }

  /** Returns the bytes a token string stands for; one outside the alphabet is its own UTF-8. */
  static byte[] bytesOf(String token) {
    if (!covers(token)) {
      return token.getBytes(StandardCharsets.UTF_8);
    }
    byte[] bytes = new byte[token.length()];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) byteOf(token.charAt(i));
    }
    return bytes;
  }
}
