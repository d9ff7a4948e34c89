package dev.fathom.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A set of Unicode code points as sorted ranges that do not touch. Surrogates are never members:
 * UTF-8 cannot hold them. Immutable.
 */
final class CodePoints {

  static final int MAX = Character.MAX_CODE_POINT;
  private static final int FIRST_SURROGATE = Character.MIN_SURROGATE;
  private static final int LAST_SURROGATE = Character.MAX_SURROGATE;

  static final CodePoints NONE = new CodePoints(new int[0]);
  static final CodePoints ALL = ofRange(0, MAX);

  /** Pairs of first and last member. */
  private final int[] bounds;

  private CodePoints(int[] bounds) {
    this.bounds = bounds;
  }

  static CodePoints of(int... members) {
    List<int[]> ranges = new ArrayList<>();
    for (int member : members) {
      ranges.add(new int[] {member, member});
    }
    return normalised(ranges);
  }

  static CodePoints ofRange(int first, int last) {
    List<int[]> ranges = new ArrayList<>();
    ranges.add(new int[] {first, last});
    return normalised(ranges);
  }

  static CodePoints union(List<CodePoints> sets) {
    List<int[]> ranges = new ArrayList<>();
    for (CodePoints set : sets) {
      for (int i = 0; i < set.numRanges(); i++) {
        ranges.add(new int[] {set.first(i), set.last(i)});
      }
    }
    return normalised(ranges);
  }

  CodePoints or(CodePoints other) {
    return union(List.of(this, other));
  }

  CodePoints complement() {
    List<int[]> ranges = new ArrayList<>();
    int next = 0;
    for (int i = 0; i < numRanges(); i++) {
      if (first(i) > next) {
        ranges.add(new int[] {next, first(i) - 1});
      }
      next = last(i) + 1;
    }
    if (next <= MAX) {
      ranges.add(new int[] {next, MAX});
    }
    return normalised(ranges);
  }

  CodePoints and(CodePoints other) {
    int[] both = new int[bounds.length + other.bounds.length];
    int len = 0;
    int i = 0;
    int j = 0;
    while (i < numRanges() && j < other.numRanges()) {
      int low = Math.max(first(i), other.first(j));
      int high = Math.min(last(i), other.last(j));
      if (low <= high) {
        both[len++] = low;
        both[len++] = high;
      }
      if (last(i) < other.last(j)) {
        i++;
      } else {
        j++;
      }
    }
    return new CodePoints(Arrays.copyOf(both, len));
  }

  CodePoints minus(CodePoints other) {
    return and(other.complement());
  }

  int numRanges() {
    return bounds.length / 2;
  }

  int first(int range) {
    return bounds[2 * range];
  }

  int last(int range) {
    return bounds[2 * range + 1];
  }

  boolean isEmpty() {
    return bounds.length == 0;
  }

  boolean contains(int codePoint) {
    int at = Arrays.binarySearch(bounds, codePoint);
    return at >= 0 || (-at - 1) % 2 == 1;
  }

  private static CodePoints normalised(List<int[]> ranges) {
    List<int[]> split = new ArrayList<>();
    for (int[] range : ranges) {
      addAround(split, range[0], range[1]);
    }
    split.sort((a, b) -> Integer.compare(a[0], b[0]));
    int[] bounds = new int[split.size() * 2];
    int len = 0;
    for (int[] range : split) {
      if (len > 0 && range[0] <= bounds[len - 1] + 1) {
        bounds[len - 1] = Math.max(bounds[len - 1], range[1]);
      } else {
        bounds[len++] = range[0];
        bounds[len++] = range[1];
      }
    }
    return new CodePoints(Arrays.copyOf(bounds, len));
  }

  /** Adds a range without the surrogates in it. */
  private static void addAround(List<int[]> ranges, int first, int last) {
    if (first < FIRST_SURROGATE) {
      ranges.add(new int[] {first, Math.min(last, FIRST_SURROGATE - 1)});
    }
    if (last > LAST_SURROGATE) {
      ranges.add(new int[] {Math.max(first, LAST_SURROGATE + 1), last});
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof CodePoints set && Arrays.equals(bounds, set.bounds);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bounds);
  }

  @Override
  public String toString() {
    return Arrays.toString(bounds);
  }
}
