package dev.fathom;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;

/** Range checks of options, each with a message that states the rule and name=value. */
final class Checks {

  private Checks() {}

  static int inRange(String name, int value, int min, int max) {
    if (value < min || value > max) {
      throw fail(name, range("[", min, max, "]"), Integer.toString(value));
    }
    return value;
  }

  /** NaN is out of every range. */
  static float inRange(String name, double value, double min, double max) {
    if (!(value >= min && value <= max)) {
      throw fail(name, range("[", min, max, "]"), number(value));
    }
    return (float) value;
  }

  /** As {@link #inRange(String, double, double, double)}, with the smallest value left out. */
  static float above(String name, double value, double min, double max) {
    if (!(value > min && value <= max)) {
      throw fail(name, range("(", min, max, "]"), number(value));
    }
    return (float) value;
  }

  private static String range(String open, double min, double max, String close) {
    String top = max == Integer.MAX_VALUE ? "2147483647" : number(max);
    return open + number(min) + ", " + top + close;
  }

  private static String number(double value) {
    boolean whole = Math.rint(value) == value && Math.abs(value) < 1e15;
    return whole ? Long.toString((long) value) : Double.toString(value);
  }

  static String adapterName(String name) {
    inRange("adapter.length", name.strip().length(), 1, 128);
    return name;
  }

  static InvalidRequestException fail(String name, String range, String value) {
    return new InvalidRequestException(
        ErrorCode.REQUEST_INVALID,
        "The option " + name + " is out of its range",
        "must be in " + range + ": " + name + "=" + value,
        "set " + name + " to a value in " + range);
  }

  /** An option that breaks a rule such as {@code > 0}. */
  static InvalidRequestException outOfRange(String name, String rule, String value) {
    return invalid(
        "The option " + name + " is out of its range",
        "must be " + rule + ": " + name + "=" + value,
        "set " + name + " to a value " + rule);
  }

  static InvalidRequestException invalid(String what, String why, String fix) {
    return new InvalidRequestException(ErrorCode.REQUEST_INVALID, what, why, fix);
  }
}
