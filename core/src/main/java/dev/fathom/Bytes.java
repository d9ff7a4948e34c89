package dev.fathom;

import java.util.Locale;

/**
 * A number of bytes, written and printed in binary units.
 *
 * @param count bytes, at least 0
 */
public record Bytes(long count) implements Comparable<Bytes> {

  private static final long KIB = 1L << 10;
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;

  /**
   * Checks the count.
   *
   * @throws IllegalArgumentException if it is negative
   */
  public Bytes {
    if (count < 0) {
      throw new IllegalArgumentException("must be >= 0: bytes=" + count);
    }
  }

  /** Returns so many bytes. */
  public static Bytes of(long count) {
    return new Bytes(count);
  }

  /** Returns so many times 2^20 bytes. */
  public static Bytes mib(long mebibytes) {
    return new Bytes(Math.multiplyExact(mebibytes, MIB));
  }

  /** Returns so many times 2^30 bytes. */
  public static Bytes gib(long gibibytes) {
    return new Bytes(Math.multiplyExact(gibibytes, GIB));
  }

  /** Returns the sum. */
  public Bytes plus(Bytes other) {
    return new Bytes(Math.addExact(count, other.count));
  }

  @Override
  public int compareTo(Bytes other) {
    return Long.compare(count, other.count);
  }

  /** Returns the number as people read it, such as {@code 13.1 GiB} or {@code 512 B}. */
  @Override
  public String toString() {
    if (count >= GIB) {
      return format(GIB, "GiB");
    }
    if (count >= MIB) {
      return format(MIB, "MiB");
    }
    return count >= KIB ? format(KIB, "KiB") : count + " B";
  }

  private String format(long unit, String name) {
    return String.format(Locale.ROOT, "%.1f %s", (double) count / (double) unit, name);
  }
}
