package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;

/**
 * What a compilation may still spend: states, rules and time. A grammar that asks for more is
 * refused, so that nobody's schema or pattern takes memory or minutes from the others.
 */
final class Budget {

  /** Longest source of a grammar, in UTF-16 units. */
  static final int MAX_SOURCE_LEN = 1 << 20;

  private final int maxStates;
  private final int maxRules;
  private final long maxNanos;
  private final long startNanos = System.nanoTime();
  private int numStates;
  private int numRules;
  private int numSteps;

  Budget(int maxStates, int maxRules, long maxNanos) {
    this.maxStates = maxStates;
    this.maxRules = maxRules;
    this.maxNanos = maxNanos;
  }

  /** What a request gets: 200,000 states, 20,000 rules, 3 seconds. */
  static Budget ofRequest() {
    return new Budget(200_000, 20_000, 3_000_000_000L);
  }

  /** Refuses a source that is too long to be looked at. */
  static void checkSource(String source) {
    if (source.length() > MAX_SOURCE_LEN) {
      throw tooLarge("characters", source.length(), MAX_SOURCE_LEN);
    }
  }

  void state() {
    if (++numStates > maxStates) {
      throw tooLarge("states", numStates, maxStates);
    }
    if ((numStates & 1023) == 0) {
      checkTime();
    }
  }

  void rule() {
    if (++numRules > maxRules) {
      throw tooLarge("rules", numRules, maxRules);
    }
  }

  /** Notes work that leaves no state behind. */
  void work() {
    if ((++numSteps & 4095) == 0) {
      checkTime();
    }
  }

  private void checkTime() {
    long nanos = System.nanoTime() - startNanos;
    if (nanos > maxNanos) {
      throw tooLarge("milliseconds", (int) (nanos / 1_000_000), (int) (maxNanos / 1_000_000));
    }
  }

  private static InvalidRequestException tooLarge(String unit, int value, int max) {
    return new InvalidRequestException(
        ErrorCode.GRAMMAR_TOO_LARGE,
        "The response format is too large to be compiled",
        "must be <= " + max + ": " + unit + "=" + value,
        "make it smaller: lower counts such as maxLength or {m,n}, fewer alternatives");
  }
}
