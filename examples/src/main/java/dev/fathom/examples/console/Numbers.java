package dev.fathom.examples.console;

import java.util.Locale;

/** Formats numbers for people and scripts alike: a point, no grouping, whatever the locale. */
public final class Numbers {

  private Numbers() {}

  /** Returns the number with so many digits after the point. */
  public static String fixed(double value, int digits) {
    return String.format(Locale.ROOT, "%." + digits + "f", value);
  }
}
