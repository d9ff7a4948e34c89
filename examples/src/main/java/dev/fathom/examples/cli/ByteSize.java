package dev.fathom.examples.cli;

import dev.fathom.error.Text;
import dev.fathom.examples.console.Failure;
import java.util.Locale;
import java.util.Map;

/** Sizes as people write them: 500MB, 2GiB, 1048576. */
final class ByteSize {

  private static final Map<String, Long> UNITS =
      Map.of(
          "", 1L,
          "B", 1L,
          "KB", 1000L,
          "MB", 1000_000L,
          "GB", 1000_000_000L,
          "KIB", 1L << 10,
          "MIB", 1L << 20,
          "GIB", 1L << 30);

  private static final int MAX_DIGITS = 12;

  private ByteSize() {}

  /**
   * Reads a size.
   *
   * @param option the option that gave it, for messages
   * @return bytes, at least 1
   * @throws Failure where it is not a size
   */
  static long parse(String option, String text) {
    int numDigits = 0;
    while (numDigits < text.length()
        && text.charAt(numDigits) >= '0'
        && text.charAt(numDigits) <= '9') {
      numDigits++;
    }
    Long unit = UNITS.get(text.substring(numDigits).strip().toUpperCase(Locale.ROOT));
    if (numDigits == 0 || numDigits > MAX_DIGITS || unit == null) {
      throw wrong(option, text);
    }
    long bytes = Long.parseLong(text.substring(0, numDigits)) * unit;
    if (bytes < 1) {
      throw wrong(option, text);
    }
    return bytes;
  }

  private static Failure wrong(String option, String text) {
    return Failure.usage(
        "Wrong usage of " + option,
        "must be a number above 0 with a unit of B, KB, MB, GB, KiB, MiB or GiB: "
            + option
            + "="
            + Text.quote(text),
        "write it as 500MB");
  }
}
