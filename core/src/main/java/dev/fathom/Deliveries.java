package dev.fathom;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The thread on which futures complete, {@code fathom-callbacks-N}: what users chain to them never
 * runs on the engine's thread. Started with the first delivery; a daemon.
 */
final class Deliveries implements AutoCloseable {

  private static final AtomicInteger NUMBER = new AtomicInteger();

  private final ExecutorService executor =
      Executors.newSingleThreadExecutor(task -> {
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

  /** Ends the thread after what was delivered; does not wait for it. */
  @Override
  public void close() {
    executor.shutdown();
  }
}
