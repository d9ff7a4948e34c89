package dev.fathom.examples.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/**
 * How fast this machine reads memory: threads that read a large buffer, each a part of it in four
 * runs at a time, which processors fetch faster than one.
 *
 * @param passes gigabytes (10^9 bytes) a second of each pass, all of the same size, in rising order
 */
public record ReadLimit(List<Double> passes) {

  private static final long BYTES = 1L << 31;
  private static final int PASSES = 16;
  private static final int LINE = 64;
  private static final int RUNS = 4;

  /** Passes that are not compiled yet, also where the process compiled this before. */
  private static final int UNCOUNTED = 4;

  // The compiler guesses the kind of memory from what the process read before, and asks again at
  // each load once it saw two: a cast answers it, and the limit is that of the memory again.
  private static final Class<? extends MemorySegment> NATIVE = MemorySegment.NULL.getClass();

  /** Sorts the passes. */
  public ReadLimit {
    passes = passes.stream().sorted().toList();
  }

  /** Measures the limit of so many threads; takes about a second and 2 GiB of memory. */
  public static ReadLimit measure(int threads) {
    try (Arena arena = Arena.ofShared()) {
      long part = BYTES / threads / (LINE * RUNS) * (LINE * RUNS);
      MemorySegment[] parts = new MemorySegment[threads];
      for (int i = 0; i < threads; i++) {
        parts[i] = arena.allocate(part, LINE);
        parts[i].fill((byte) i);
      }
      AtomicLong seen = new AtomicLong();
      List<Double> speeds = new ArrayList<>();
      for (int pass = 0; pass < UNCOUNTED + PASSES; pass++) {
        long begin = System.nanoTime();
        pass(parts, seen);
        double speed = (double) part * threads / (System.nanoTime() - begin);
        if (pass >= UNCOUNTED) {
          speeds.add(speed);
        }
      }
      if (seen.get() == 1) {
        throw new IllegalStateException("the sum keeps the compiler from dropping the reads");
      }
      return new ReadLimit(speeds);
    }
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

  private static void pass(MemorySegment[] parts, AtomicLong seen) {
    Thread[] readers = new Thread[parts.length];
    for (int i = 0; i < readers.length; i++) {
      MemorySegment part = parts[i];
      readers[i] = Thread.ofPlatform().unstarted(() -> seen.addAndGet(2 * read(part)));
      readers[i].start();
    }
    for (Thread reader : readers) {
      try {
        reader.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted while measuring", e);
      }
    }
  }

  // One load of each line: the memory brings whole lines, and with more loads a line the processor
  // has room for fewer lines that are under way.
  private static long read(MemorySegment segment) {
    MemorySegment part = NATIVE.cast(segment);
    long quarter = part.byteSize() / RUNS;
    long sum = 0;
    for (long at = 0; at < quarter; at += LINE) {
      sum ^=
          part.get(ValueLayout.JAVA_LONG, at)
              ^ part.get(ValueLayout.JAVA_LONG, at + quarter)
              ^ part.get(ValueLayout.JAVA_LONG, at + 2 * quarter)
              ^ part.get(ValueLayout.JAVA_LONG, at + 3 * quarter);
    }
    return sum;
  }
}
