package dev.fathom;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The threads on which futures complete, {@code fathom-callbacks-N}: what users chain to them never
 * runs on the engine's thread. One thread as a rule; another only while the first is busy, so that
 * a callback may wait for another future. They are daemons and end after a second without work.
 */
final class Deliveries implements AutoCloseable {

  private static final AtomicInteger NUMBER = new AtomicInteger();
  private static final int MAX_THREADS = 1 << 12;

  private final ExecutorService executor =
      new ThreadPoolExecutor(
          0,
          MAX_THREADS,
          1,
          TimeUnit.SECONDS,
          new SynchronousQueue<>(),
          task -> {
            Thread thread = new Thread(task, "fathom-callbacks-" + NUMBER.incrementAndGet());
            thread.setDaemon(true);
            return thread;
          });

  /** Runs the task soon; on the calling thread after closing. */
  void deliver(Runnable task) {
    try {
      executor.execute(task);
    } catch (RejectedExecutionException e) {
      task.run();
    }
  }

  /** Ends the threads after what was delivered; does not wait for them. */
  @Override
  public void close() {
    executor.shutdown();
  }
}
