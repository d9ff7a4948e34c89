package dev.fathom.kvcache;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * Names what a unit of tokens holds behind all units before it, for one scope, outside a process: a
 * SHA-256 digest of the scope and of every token up to its end. Two prefixes with one key are not
 * to be found, so a key stands for its prefix.
 *
 * @param a first eight bytes of the digest, as a big-endian number; b, c and d follow
 */
public record UnitKey(long a, long b, long c, long d) {

  private static final int LONGS = 4;

  /** The key as 64 hexadecimal digits. */
  public String toHex() {
    HexFormat hex = HexFormat.of();
    return hex.toHexDigits(a) + hex.toHexDigits(b) + hex.toHexDigits(c) + hex.toHexDigits(d);
  }

  /**
   * Reads what {@link #toHex} wrote.
   *
   * @throws IllegalArgumentException if it is something else
   */
  public static UnitKey parse(String hex) {
    if (hex.length() != LONGS * 16) {
      throw new IllegalArgumentException("must have 64 digits: length=" + hex.length());
    }
    return new UnitKey(
        HexFormat.fromHexDigitsToLong(hex, 0, 16),
        HexFormat.fromHexDigitsToLong(hex, 16, 32),
        HexFormat.fromHexDigitsToLong(hex, 32, 48),
        HexFormat.fromHexDigitsToLong(hex, 48, 64));
  }

  /** Computes keys; one thread. */
  static final class Chain {
    private final MessageDigest sha;
    private final ByteBuffer input;
    private final int unitTokens;

    Chain(int unitTokens) {
      this.unitTokens = unitTokens;
      this.input =
          ByteBuffer.allocate(LONGS * Long.BYTES + Math.multiplyExact(unitTokens, Integer.BYTES));
      try {
        this.sha = MessageDigest.getInstance("SHA-256");
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException("every JDK has SHA-256", e);
      }
    }

    /** The key of the first unit of a scope. */
    UnitKey first(PrefixScope scope, int[] tokens) {
      input.clear();
      input.putLong(scope.saltHigh()).putLong(scope.saltLow()).putLong(scope.adapter());
      return digest(tokens, 0);
    }

    /** The key of the unit behind another. */
    UnitKey next(UnitKey parent, int[] tokens, int offset) {
      input.clear();
      input.putLong(parent.a).putLong(parent.b).putLong(parent.c).putLong(parent.d);
      return digest(tokens, offset);
    }

    private UnitKey digest(int[] tokens, int offset) {
      for (int i = 0; i < unitTokens; i++) {
        input.putInt(tokens[offset + i]);
      }
      sha.update(input.array(), 0, input.position());
      ByteBuffer out = ByteBuffer.wrap(sha.digest());
      return new UnitKey(out.getLong(), out.getLong(), out.getLong(), out.getLong());
    }
  }
}
