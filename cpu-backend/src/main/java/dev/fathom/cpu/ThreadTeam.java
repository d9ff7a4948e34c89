package dev.fathom.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A fixed team of threads that run the parts of one piece of work together.
 *
 * <p>The calling thread is part 0, the workers {@code fathom-cpu-1} ... are the others. A dispatch
 * raises an epoch that the workers wait for: they spin for some microseconds, then yield for a
 * millisecond or so to whoever else wants the processor, then park. So the operations of a step and
 * the sampling between two steps cost no wake-up, which takes 20 to 70 microseconds on a virtual
 * machine, and an idle team costs no CPU. Nothing is allocated by a dispatch.
 *
 * <p>One thread at a time dispatches. Closing ends the workers and waits for them.
 */
final class ThreadTeam implements AutoCloseable {

  /** Work that is split into parts by whoever runs it. */
  @FunctionalInterface
  interface Work {

    /** Computes part {@code part} of {@code numParts}; parts write different memory. */
    void run(int part, int numParts);
  }

  /** Work on a range of items, which any thread may run. */
  @FunctionalInterface
  interface RangeWork {

    /** Computes items [from, to) on the thread of a part. */
    void run(int from, int to, int part);
  }

  /** Turns of spinning before a thread yields: about 25 microseconds. */
  private static final int SPINS = 2_000;

  /** Longs from one part's items to the next one's: two cache lines, which are read in pairs. */
  private static final int APART = 16;

  /**
   * What stays of a part's items when it takes some, for others to take: a quarter. Long runs of
   * rows are long runs of memory; what is left makes up for a thread that is slowed down.
   */
  private static final int LEFT = 4;

  /** Turns of yielding before a thread parks: about a millisecond. */
  private static final int YIELDS = 700;

  private final Worker[] workers;

  // None where threads share processors: whoever spins would keep them from those that it waits
  // for.
  private final int spins;

  private final AtomicInteger pending = new AtomicInteger();
  private final AtomicInteger epoch = new AtomicInteger();
  private volatile boolean closed;
  private volatile @Nullable Thread waiting;
  private volatile @Nullable Throwable failure;
  private Work work = (part, numParts) -> {};

  // What is left of each part's items: the first one in the high half, the end in the low half.
  private final AtomicLongArray left;
  private final Work takeRanges = this::takeRanges;
  private RangeWork rangeWork = (from, to, part) -> {};
  private int grain = 1;

  /** Starts a team of this many threads, the caller included; at least 1. */
  ThreadTeam(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("must be >= 1: threads=" + threads);
    }
    this.workers = new Worker[threads - 1];
    this.spins = threads > Runtime.getRuntime().availableProcessors() ? 0 : SPINS;
    this.left = new AtomicLongArray(threads * APART);
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Worker(i + 1);
    }
    for (Worker worker : workers) {
      worker.thread.start();
    }
  }

  /** Returns whether it was not closed. */
  boolean isOpen() {
    return !closed;
  }

  /** Returns the number of threads, the caller included. */
  int size() {
    return workers.length + 1;
  }

  /**
   * Runs all parts and returns when they ended. What a part threw is thrown here, after the others
   * ended.
   */
  void run(Work next) {
    if (closed) {
      throw new IllegalStateException("team: expected an open one, got a closed one");
    }
    if (workers.length == 0) {
      next.run(0, 1);
      return;
    }
    work = next;
    failure = null;
    pending.set(workers.length);
    startWorkers();
    runPart(0);
    awaitWorkers();
    rethrow();
  }

  /**
   * Runs work on all of so many items, a multiple of {@code grain} at a time or the rest. Each part
   * has a range of its own, which it takes from the front, most of what is left at a time; who has
   * ended takes from the back of others. So a thread that the machine slows down does not hold up
   * the rest.
   */
  void run(int items, int grainOfWork, RangeWork next) {
    int threads = size();
    if (threads == 1) {
      next.run(0, items, 0);
      return;
    }
    int grains = Math.ceilDiv(items, grainOfWork);
    for (int part = 0; part < threads; part++) {
      int from = Step.begin(grains, part, threads) * grainOfWork;
      int to = Math.min(items, Step.begin(grains, part + 1, threads) * grainOfWork);
      left.set(part * APART, range(from, to));
    }
    rangeWork = next;
    grain = grainOfWork;
    run(takeRanges);
  }

  private static long range(int from, int to) {
    return (long) from << Integer.SIZE | to;
  }

  private void takeRanges(int part, int numParts) {
    for (int i = 0; i < numParts; i++) {
      int owner = part + i < numParts ? part + i : part + i - numParts;
      takeRangesOf(owner, part);
    }
  }

  private void takeRangesOf(int owner, int part) {
    int at = owner * APART;
    while (true) {
      long range = left.get(at);
      int from = (int) (range >>> Integer.SIZE);
      int to = (int) range;
      if (from >= to) {
        return;
      }
      int items = to - from;
      int n = Math.min(items, Math.max(grain, (items - items / LEFT) / grain * grain));
      if (owner == part) {
        if (left.compareAndSet(at, range, range(from + n, to))) {
          rangeWork.run(from, from + n, part);
        }
      } else {
        // The last grain may be short: what is left keeps whole grains.
        int begin = from + (to - from - 1) / grain * grain;
        if (left.compareAndSet(at, range, range(from, begin))) {
          rangeWork.run(begin, to, part);
        }
      }
    }
  }

  private void startWorkers() {
    epoch.incrementAndGet();
    for (Worker worker : workers) {
      if (worker.parked) {
        LockSupport.unpark(worker.thread);
      }
    }
  }

  private void runPart(int part) {
    try {
      work.run(part, workers.length + 1);
    } catch (Throwable t) {
      failure = t;
    }
  }

  private void awaitWorkers() {
    for (int spin = 0; pending.get() != 0; spin++) {
      if (spin < spins + YIELDS) {
        waitBriefly(spin);
      } else {
        waiting = Thread.currentThread();
        if (pending.get() != 0) {
          LockSupport.park(this);
        }
        waiting = null;
      }
    }
  }

  // Yielding only makes room for others: whoever waits looks again and parks in the end.
  @SuppressWarnings("ThreadPriorityCheck")
  private void waitBriefly(int spin) {
    if (spin < spins) {
      Thread.onSpinWait();
    } else {
      Thread.yield();
    }
  }

  private void rethrow() {
    Throwable thrown = failure;
    if (thrown instanceof RuntimeException e) {
      throw e;
    }
    if (thrown instanceof Error e) {
      throw e;
    }
  }

  @Override
  public void close() {
    closed = true;
    boolean interrupted = false;
    for (Worker worker : workers) {
      LockSupport.unpark(worker.thread);
      interrupted |= !joined(worker.thread);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits for a thread that was told to end; returns false if the waiting was interrupted. */
  private static boolean joined(Thread thread) {
    try {
      thread.join();
      return true;
    } catch (InterruptedException _) {
      return false;
    }
  }

  private final class Worker implements Runnable {

    private final int part;
    private final Thread thread;
    private volatile boolean parked;

    Worker(int part) {
      this.part = part;
      this.thread = Thread.ofPlatform().name("fathom-cpu-" + part).daemon(true).unstarted(this);
    }

    @Override
    public void run() {
      int seen = 0;
      while (awaitEpoch(seen)) {
        seen = epoch.get();
        runPart(part);
        if (pending.decrementAndGet() == 0) {
          LockSupport.unpark(waiting);
        }
      }
    }

    /** Waits until the epoch is another one; returns false where the team was closed. */
    private boolean awaitEpoch(int seen) {
      for (int spin = 0; epoch.get() == seen; spin++) {
        if (closed) {
          return false;
        }
        if (spin < spins + YIELDS) {
          waitBriefly(spin);
        } else {
          parked = true;
          if (epoch.get() == seen && !closed) {
            LockSupport.park(ThreadTeam.this);
          }
          parked = false;
        }
      }
      return true;
    }
  }
}
