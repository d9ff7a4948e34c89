package dev.fathom.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Opens many files at once on threads of its own, since on network disks the time is latency.
 *
 * <p>The threads end before {@link #openAll} returns. The error is that of the first file in the
 * list that has one, whatever thread met it.
 */
final class HeaderReading {
  private static final int MAX_THREADS = 8;

  private final List<Path> paths;
  private final @Nullable SafetensorsFile[] files;
  private final @Nullable Throwable[] failures;
  private final AtomicInteger next = new AtomicInteger();

  private HeaderReading(List<Path> paths) {
    this.paths = paths;
    this.files = new SafetensorsFile[paths.size()];
    this.failures = new Throwable[paths.size()];
  }

  /**
   * Opens the files.
   *
   * @return in the order of the paths
   * @throws dev.fathom.error.CheckpointException of the first file that cannot be opened
   */
  static List<SafetensorsFile> openAll(List<Path> paths) {
    HeaderReading reading = new HeaderReading(paths);
    int numThreads = Math.min(MAX_THREADS, paths.size() / 2);
    if (numThreads <= 1) {
      reading.work();
    } else {
      reading.workOn(numThreads);
    }
    return reading.results();
  }

  private void workOn(int numThreads) {
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < numThreads; i++) {
      threads.add(Thread.ofPlatform().daemon().name("fathom-headers-" + i).start(this::work));
    }
    boolean interrupted = false;
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
          next.set(paths.size());
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void work() {
    for (int i = next.getAndIncrement(); i < paths.size(); i = next.getAndIncrement()) {
      try {
        files[i] = SafetensorsFile.open(paths.get(i));
      } catch (RuntimeException | Error e) {
        failures[i] = e;
        next.set(paths.size());
      }
    }
  }

  private List<SafetensorsFile> results() {
    for (Throwable failure : failures) {
      if (failure instanceof Error error) {
        throw error;
      }
      if (failure instanceof RuntimeException exception) {
        throw exception;
      }
    }
    List<SafetensorsFile> opened = new ArrayList<>();
    for (int i = 0; i < files.length; i++) {
      SafetensorsFile file = files[i];
      if (file == null) {
        throw CheckpointFiles.failure(
            paths.get(i), new java.nio.channels.ClosedByInterruptException());
      }
      opened.add(file);
    }
    return opened;
  }
}
