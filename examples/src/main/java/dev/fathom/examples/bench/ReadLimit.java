package dev.fathom.examples.bench;

import java.util.List;

/**
 * How fast this machine reads memory, as {@link ReadMeter} measured it.
 *
 * @param passes gigabytes (10^9 bytes) a second of each pass, all of the same size, in rising order
 */
public record ReadLimit(List<Double> passes) {

  /** Sorts the passes. */
  public ReadLimit {
    passes = passes.stream().sorted().toList();
  }

  /** Returns the limit of the passes of several measurements, of at least one. */
  public static ReadLimit of(List<ReadLimit> limits) {
    return new ReadLimit(limits.stream().flatMap(limit -> limit.passes.stream()).toList());
  }

  /** Returns the fastest pass, which neighbours disturb least. */
  public double best() {
    return passes.getLast();
  }

  /** Returns the median pass. */
  public double median() {
    int n = passes.size();
    return (passes.get((n - 1) / 2) + passes.get(n / 2)) / 2;
  }

  /**
   * Returns all bytes by all the time that they took: slow passes weigh as slow tokens do in a
   * number of tokens a second.
   */
  public double mean() {
    return passes.size() / passes.stream().mapToDouble(speed -> 1 / speed).sum();
  }
}
