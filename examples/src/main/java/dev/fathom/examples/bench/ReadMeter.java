package dev.fathom.examples.bench;

import dev.fathom.backend.LargePageArena;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Measures how fast this machine reads memory: threads that read a large buffer, each a part of it
 * in four runs at a time, which processors fetch faster than one.
 *
 * <p>The buffer of 2 GiB lives as long as the meter: a virtual machine may take ten seconds to hand
 * out so much memory, and would do so again between two runs that are to be compared with it.
 */
public final class ReadMeter implements AutoCloseable {

  private static final long BYTES = 1L << 31;
  private static final int PASSES = 16;
  private static final int LINE = 64;
  private static final int RUNS = 4;

  /** Passes that are not compiled yet, also where the process compiled this before. */
  private static final int UNCOUNTED = 4;

  // The compiler guesses the kind of memory from what the process read before, and asks again at
  // each load once it saw two: a cast answers it, and the limit is that of the memory again.
  private static final Class<? extends MemorySegment> NATIVE = MemorySegment.NULL.getClass();

  private final Arena arena = LargePageArena.open();
  private final MemorySegment[] parts;

  /** Allocates 2 GiB, a part for each thread. */
  public ReadMeter(int threads) {
    parts = new MemorySegment[threads];
    long part = BYTES / threads / (LINE * RUNS) * (LINE * RUNS);
    for (int i = 0; i < threads; i++) {
      parts[i] = arena.allocate(part, LINE);
      parts[i].fill((byte) i);
    }
  }

  /** Measures the limit; takes about a second. */
  public ReadLimit measure() {
    AtomicLong seen = new AtomicLong();
    double bytes = (double) parts[0].byteSize() * parts.length;
    List<Double> speeds = new ArrayList<>();
    for (int pass = 0; pass < UNCOUNTED + PASSES; pass++) {
      long begin = System.nanoTime();
      pass(seen);
      if (pass >= UNCOUNTED) {
        speeds.add(bytes / (System.nanoTime() - begin));
      }
    }
    if (seen.get() == 1) {
      throw new IllegalStateException("the sum keeps the compiler from dropping the reads");
    }
    return new ReadLimit(speeds);
  }

  /** Frees the memory. */
  @Override
  public void close() {
    arena.close();
  }

  private void pass(AtomicLong seen) {
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
