package dev.fathom.grammar;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A set of numbers, and the automaton that writes them in plain decimals: bounds, a common divisor,
 * whole numbers only. Immutable.
 *
 * <p>Numbers are compared digit by digit while they are written: as long as what was written equals
 * the start of a bound, the next digit is limited by the bound's; afterwards it is free. A divisor
 * {@code p / 10^s} is kept as the remainder of the digits modulo p.
 *
 * @param low smallest number, null for none
 * @param lowIncluded whether it belongs to the set
 * @param high largest number, null for none
 * @param highIncluded whether it belongs to the set
 * @param multipleOf what each number is a multiple of, null for anything
 * @param integer whether only whole numbers are meant
 */
record NumberSpec(
    @Nullable BigDecimal low,
    boolean lowIncluded,
    @Nullable BigDecimal high,
    boolean highIncluded,
    @Nullable BigDecimal multipleOf,
    boolean integer) {

  static final NumberSpec ANY = new NumberSpec(null, true, null, true, null, false);

  private static final int FREE_INT_DIGITS = 20;
  private static final int FREE_FRACTION_DIGITS = 16;

  NumberSpec atLeast(BigDecimal bound, boolean included) {
    int order = low == null ? 1 : bound.compareTo(low);
    boolean tighter = order > 0 || (order == 0 && !included);
    return tighter
        ? new NumberSpec(bound, included, high, highIncluded, multipleOf, integer)
        : this;
  }

  NumberSpec atMost(BigDecimal bound, boolean included) {
    int order = high == null ? -1 : bound.compareTo(high);
    boolean tighter = order < 0 || (order == 0 && !included);
    return tighter ? new NumberSpec(low, lowIncluded, bound, included, multipleOf, integer) : this;
  }

  /** Adds a divisor, which must be above 0: the least common multiple of both remains. */
  NumberSpec multipleOf(BigDecimal divisor) {
    BigDecimal both = divisor;
    if (multipleOf != null) {
      int scale = Math.max(0, Math.max(divisor.scale(), multipleOf.scale()));
      BigInteger a = divisor.setScale(scale).unscaledValue();
      BigInteger b = multipleOf.setScale(scale).unscaledValue();
      both = new BigDecimal(a.multiply(b).divide(a.gcd(b)), scale);
    }
    return new NumberSpec(low, lowIncluded, high, highIncluded, both, integer);
  }

  NumberSpec integers() {
    NumberSpec whole = new NumberSpec(low, lowIncluded, high, highIncluded, multipleOf, true);
    return multipleOf == null ? whole : whole.multipleOf(BigDecimal.ONE);
  }

  boolean isUnbounded() {
    return low == null && high == null && multipleOf == null;
  }

  boolean contains(BigDecimal value) {
    int overLow = low == null ? 1 : value.compareTo(low);
    int underHigh = high == null ? 1 : high.compareTo(value);
    return (overLow > 0 || (overLow == 0 && lowIncluded))
        && (underHigh > 0 || (underHigh == 0 && highIncluded))
        && (multipleOf == null || value.remainder(multipleOf).signum() == 0)
        && (!integer || value.remainder(BigDecimal.ONE).signum() == 0);
  }

  /** Returns the numbers of the set as text, an automaton that need not be deterministic. */
  CharAutomaton automaton(Budget budget) {
    Writer writer = new Writer(budget);
    BigDecimal zero = BigDecimal.ZERO;
    BigDecimal least = low;
    BigDecimal most = high;
    if (most == null || most.signum() >= 0) {
      boolean free = least == null || least.signum() < 0;
      BigDecimal from = least == null || least.signum() < 0 ? zero : least;
      writer.add(0, from, free || lowIncluded, most, highIncluded);
    }
    if (least == null || least.signum() < 0) {
      int minus = writer.newState(false);
      writer.arc(0, CodePoints.of('-'), minus);
      boolean free = most == null || most.signum() > 0;
      BigDecimal from = most == null || most.signum() > 0 ? zero : most.negate();
      writer.add(
          minus, from, free || highIncluded, least == null ? null : least.negate(), lowIncluded);
    }
    return writer.done();
  }

  /** Where in a number one is. */
  private record Place(int numInt, int pos, boolean dot, boolean atLow, boolean atHigh, long rem) {}

  private final class Writer {

    private final Budget budget;
    private final List<List<CharAutomaton.Arc>> arcs = new ArrayList<>();
    private final List<Boolean> accepts = new ArrayList<>();
    private final long divisor;
    private final int divisorScale;
    private final int maxFraction;

    Writer(Budget budget) {
      this.budget = budget;
      BigDecimal m = multipleOf;
      BigDecimal step = m == null ? BigDecimal.ONE : m.stripTrailingZeros();
      this.divisorScale = Math.max(0, step.scale());
      this.divisor = m == null ? 1 : step.setScale(divisorScale).unscaledValue().longValueExact();
      int given = Math.max(scaleOf(low), scaleOf(high));
      this.maxFraction =
          integer ? 0 : m == null ? given + FREE_FRACTION_DIGITS : Math.max(divisorScale, 0);
      newState(false);
    }

    private int scaleOf(@Nullable BigDecimal bound) {
      return bound == null ? 0 : Math.max(0, bound.scale());
    }

    int newState(boolean accept) {
      budget.state();
      arcs.add(new ArrayList<>());
      accepts.add(accept);
      return arcs.size() - 1;
    }

    void arc(int from, CodePoints set, int target) {
      arcs.get(from).add(new CharAutomaton.Arc(set, target));
    }

    CharAutomaton done() {
      boolean[] ends = new boolean[accepts.size()];
      for (int i = 0; i < ends.length; i++) {
        ends[i] = accepts.get(i);
      }
      return new CharAutomaton(arcs, ends).trimmed();
    }

    /** Adds the magnitudes in an interval behind a state. */
    void add(
        int from,
        BigDecimal least,
        boolean withLeast,
        @Nullable BigDecimal most,
        boolean withMost) {
      Digits lowDigits = new Digits(least);
      Digits highDigits = most == null ? null : new Digits(most);
      int longest =
          highDigits == null
              ? Math.max(FREE_INT_DIGITS, lowDigits.numInt() + 1)
              : highDigits.numInt();
      Interval interval = new Interval(lowDigits, withLeast, highDigits, withMost);
      for (int n = lowDigits.numInt(); n <= longest; n++) {
        boolean atHigh = highDigits != null && highDigits.numInt() == n;
        explore(from, new Place(n, 0, false, lowDigits.numInt() == n, atHigh, 0), interval);
      }
    }

    private void explore(int from, Place first, Interval interval) {
      Map<Place, Integer> numbers = new HashMap<>();
      ArrayDeque<Place> open = new ArrayDeque<>();
      numbers.put(first, from);
      open.add(first);
      while (!open.isEmpty()) {
        Place place = open.removeFirst();
        int state = numbers.getOrDefault(place, from);
        if (place.pos() == place.numInt() && !place.dot() && maxFraction > 0) {
          Place dotted =
              new Place(
                  place.numInt(), place.pos(), true, place.atLow(), place.atHigh(), place.rem());
          arc(state, CodePoints.of('.'), number(dotted, interval, numbers, open));
        }
        boolean full = place.pos() >= place.numInt() + (place.dot() ? maxFraction : 0);
        for (int digit = 0; digit <= 9 && !full; digit++) {
          Place next = interval.after(place, digit, divisor);
          if (next != null) {
            arc(state, CodePoints.of('0' + digit), number(next, interval, numbers, open));
          }
        }
      }
    }

    private int number(
        Place place, Interval interval, Map<Place, Integer> numbers, ArrayDeque<Place> open) {
      Integer known = numbers.get(place);
      if (known != null) {
        return known;
      }
      int numFraction = place.pos() - place.numInt();
      boolean whole = place.dot() ? numFraction > 0 : numFraction == 0;
      int state = newState(whole && interval.includes(place) && divides(place, numFraction));
      numbers.put(place, state);
      open.add(place);
      return state;
    }

    private boolean divides(Place place, int numFraction) {
      long rem = place.rem();
      for (int i = numFraction; i < divisorScale; i++) {
        rem = rem * 10 % divisor;
      }
      return rem == 0;
    }
  }

  /** The digits of a number that is not negative, without end to the right. */
  private record Digits(String digits, int numInt) {

    Digits(BigDecimal value) {
      this(
          value.setScale(Math.max(0, value.scale())).unscaledValue().toString(),
          Math.max(0, value.scale()));
    }

    Digits {
      // Here numInt still is the number of digits behind the point.
      digits = "0".repeat(Math.max(0, numInt + 1 - digits.length())) + digits;
      numInt = digits.length() - numInt;
    }

    int at(int pos) {
      return pos < digits.length() ? digits.charAt(pos) - '0' : 0;
    }

    boolean isZeroFrom(int pos) {
      for (int i = pos; i < digits.length(); i++) {
        if (digits.charAt(i) != '0') {
          return false;
        }
      }
      return true;
    }
  }

  private record Interval(
      Digits least, boolean withLeast, @Nullable Digits most, boolean withMost) {

    /** Returns where a digit leads, null if it must not come. */
    @Nullable Place after(Place place, int digit, long divisor) {
      int pos = place.pos();
      boolean leadingZero = pos == 0 && place.numInt() > 1 && digit == 0;
      boolean tooSmall = place.atLow() && digit < least.at(pos);
      boolean tooLarge = place.atHigh() && most != null && digit > most.at(pos);
      if (leadingZero || tooSmall || tooLarge) {
        return null;
      }
      boolean atHigh = place.atHigh() && most != null && digit == most.at(pos);
      boolean atLow = place.atLow() && digit == least.at(pos);
      long rem = (place.rem() * 10 + digit) % divisor;
      return new Place(place.numInt(), pos + 1, place.dot(), atLow, atHigh, rem);
    }

    boolean includes(Place place) {
      boolean lowEnough =
          !place.atHigh() || most == null || withMost || !most.isZeroFrom(place.pos());
      boolean highEnough = !place.atLow() || (withLeast && least.isZeroFrom(place.pos()));
      return lowEnough && highEnough;
    }
  }
}
