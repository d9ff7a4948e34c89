package dev.fathom.jmh;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntToDoubleFunction;

/** Threads that measure a limit of the machine together. */
final class LimitTeam implements AutoCloseable {

  private final ExecutorService threads;
  private final int size;

  /** Starts threads, 0 for one a processor. */
  LimitTeam(int threads) {
    this.size = threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
    this.threads = Executors.newFixedThreadPool(size);
  }

  int size() {
    return size;
  }

  /** Runs each thread's part and returns the sum of their results. */
  double run(IntToDoubleFunction part) throws InterruptedException, ExecutionException {
    List<Future<Double>> parts = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      int index = i;
      parts.add(threads.submit(() -> part.applyAsDouble(index)));
    }
    double sum = 0;
    for (Future<Double> future : parts) {
      sum += future.get();
    }
    return sum;
  }

  @Override
  public void close() {
    threads.close();
  }
}
