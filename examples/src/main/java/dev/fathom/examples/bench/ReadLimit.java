package dev.fathom.examples.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicLong;

/**
 * How fast this machine reads memory: threads that read a large buffer, each a part of it in four
 * runs at a time, which processors fetch faster than one. The best of several passes, since
 * neighbours only ever slow one down.
 */
public final class ReadLimit {

  private static final long BYTES = 1L << 31;
  // The first ones are not compiled yet, also where the process compiled this before.
  private static final int PASSES = 16;
  private static final int LINE = 64;
  private static final int RUNS = 4;

  // The compiler guesses the kind of memory from what the process read before, and asks again at
  // each load once it saw two: a cast answers it, and the limit is that of the memory again.
  private static final Class<? extends MemorySegment> NATIVE = MemorySegment.NULL.getClass();

  private ReadLimit() {}

  /** Returns gigabytes (10^9 bytes) a second; takes about a second and 2 GiB of memory. */
  public static double gigabytesPerSecond(int threads) {
    try (Arena arena = Arena.ofShared()) {
      long part = BYTES / threads / (LINE * RUNS) * (LINE * RUNS);
      MemorySegment[] parts = new MemorySegment[threads];
      for (int i = 0; i < threads; i++) {
        parts[i] = arena.allocate(part, LINE);
        parts[i].fill((byte) i);
      }
      AtomicLong seen = new AtomicLong();
      double best = 0;
      for (int pass = 0; pass < PASSES; pass++) {
        long begin = System.nanoTime();
        pass(parts, seen);
        best = Math.max(best, (double) part * threads / (System.nanoTime() - begin));
      }
      if (seen.get() == 1) {
        throw new IllegalStateException("the sum keeps the compiler from dropping the reads");
      }
      return best;
    }
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

  private static long read(MemorySegment segment) {
    MemorySegment part = NATIVE.cast(segment);
    long quarter = part.byteSize() / RUNS;
    long a = 0;
    long b = 0;
    long c = 0;
    long d = 0;
    for (long at = 0; at < quarter; at += LINE) {
      a ^= line(part, at);
      b ^= line(part, at + quarter);
      c ^= line(part, at + 2 * quarter);
      d ^= line(part, at + 3 * quarter);
    }
    return a ^ b ^ c ^ d;
  }

  private static long line(MemorySegment part, long at) {
    return part.get(ValueLayout.JAVA_LONG, at)
        ^ part.get(ValueLayout.JAVA_LONG, at + 8)
        ^ part.get(ValueLayout.JAVA_LONG, at + 16)
        ^ part.get(ValueLayout.JAVA_LONG, at + 24)
        ^ part.get(ValueLayout.JAVA_LONG, at + 32)
        ^ part.get(ValueLayout.JAVA_LONG, at + 40)
        ^ part.get(ValueLayout.JAVA_LONG, at + 48)
        ^ part.get(ValueLayout.JAVA_LONG, at + 56);
  }
}
