package dev.fathom.kvcache;

/** The argument checks of this package: the rule, then name=value. */
final class Checks {
  private Checks() {}

  static void atLeast(long minimum, String name, long value) {
    if (value < minimum) {
      throw new IllegalArgumentException("must be >= " + minimum + ": " + name + "=" + value);
    }
  }

  static void atMost(long maximum, String name, long value) {
    if (value > maximum) {
      throw new IllegalArgumentException("must be <= " + maximum + ": " + name + "=" + value);
    }
  }

  static void index(String name, int index, int length) {
    if (index < 0 || index >= length) {
      throw new IndexOutOfBoundsException("must be in [0, " + length + "): " + name + "=" + index);
    }
  }

  static void range(String name, int offset, int count, int length) {
    if (offset < 0 || count > length - offset) {
      throw new IndexOutOfBoundsException(
          "must hold " + count + " elements from " + offset + ": " + name + ".length=" + length);
    }
  }
}
