package dev.fathom.quant;

/** The argument checks of this package: the rule, then name=value. */
final class Checks {
  private Checks() {}

  static void atLeast(long minimum, String name, long value) {
    if (value < minimum) {
      throw new IllegalArgumentException("must be >= " + minimum + ": " + name + "=" + value);
    }
  }

  static void equal(String name, long expected, long value) {
    if (value != expected) {
      throw new IllegalArgumentException("must be " + expected + ": " + name + "=" + value);
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

  static void multiple(int divisor, String name, long value) {
    if (value % divisor != 0) {
      throw new IllegalArgumentException(
          "must be a multiple of " + divisor + ": " + name + "=" + value);
    }
  }

  /** The sizes that all formats of grouped integers share. */
  static void grouped(int rows, int cols, int groupSize, WeightFormat scaleFormat) {
    atLeast(1, "rows", rows);
    atLeast(1, "cols", cols);
    atLeast(1, "groupSize", groupSize);
    if (!scaleFormat.isDense()) {
      throw new IllegalArgumentException("must be F32, F16 or BF16: scaleFormat=" + scaleFormat);
    }
  }

  static void packedBits(int bits) {
    if (bits != 4 && bits != 8) {
      throw new IllegalArgumentException("must be 4 or 8: bits=" + bits);
    }
  }

  /** All elements of row r of a weight, which lie in {@code row[from, from + cols)}. */
  static void finiteRow(float[] row, int from, int cols, int r) {
    for (int c = 0; c < cols; c++) {
      if (!Float.isFinite(row[from + c])) {
        throw new IllegalArgumentException(
            "must be finite: weight[" + r + ", " + c + "]=" + row[from + c]);
      }
    }
  }

  static void finite(String name, float[] values) {
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw new IllegalArgumentException("must be finite: " + name + "[" + i + "]=" + values[i]);
      }
    }
  }
}
