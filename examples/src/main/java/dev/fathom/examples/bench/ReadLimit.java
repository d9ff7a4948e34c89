package dev.fathom.examples.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;

/**
 * How fast this machine reads memory: threads that read a large buffer, each a part of it in four
 * runs at a time, which processors fetch faster than one.
 *
 * @param best gigabytes (10^9 bytes) a second of the fastest pass, which neighbours disturb least
 * @param median of all passes, to compare with what takes its share of disturbance itself
 */
public record ReadLimit(double best, double median) {

  private static final long BYTES = 1L << 31;
  // The first ones are not compiled yet, also where the process compiled this before.
  private static final int PASSES = 16;
  private static final int LINE = 64;
  private static final int RUNS = 4;

  // The compiler guesses the kind of memory from what the process read before, and asks again at
  // each load once it saw two: a cast answers it, and the limit is that of the memory again.
  private static final Class<? extends MemorySegment> NATIVE = MemorySegment.NULL.getClass();

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
      double[] speeds = new double[PASSES];
      for (int pass = 0; pass < PASSES; pass++) {
        long begin = System.nanoTime();
        pass(parts, seen);
        speeds[pass] = (double) part * threads / (System.nanoTime() - begin);
      }
      if (seen.get() == 1) {
        throw new IllegalStateException("the sum keeps the compiler from dropping the reads");
      }
      Arrays.sort(speeds);
      return new ReadLimit(speeds[PASSES - 1], (speeds[PASSES / 2 - 1] + speeds[PASSES / 2]) / 2);
    }
  }

  /** Returns the limit of two measurements: the better pass, and the mean of the medians. */
  public ReadLimit with(ReadLimit other) {
    return new ReadLimit(Math.max(best, other.best), (median + other.median) / 2);
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
