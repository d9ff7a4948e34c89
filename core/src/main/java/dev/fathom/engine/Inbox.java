package dev.fathom.engine;

import dev.fathom.error.BackendException;
import dev.fathom.error.EngineOverloadedException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * The way from callers to the engine's thread: commands in the order in which they came, and the
 * decision whether a request is taken at all.
 *
 * <p>Bounded by requests and by their prompt tokens, from submission to the first step. Once it was
 * shut nothing passes, and everything that passed before will be taken: so every request that was
 * accepted is heard of by the thread. Any thread may call; the lock is held for moments.
 */
final class Inbox {

  private static final Duration LEAST_RETRY = Duration.ofMillis(100);
  private static final Duration MOST_RETRY = Duration.ofSeconds(60);

  private final int maxRequests;
  private final long maxTokens;
  private final LinkedBlockingQueue<Runnable> commands = new LinkedBlockingQueue<>();
  private final AtomicBoolean nudged = new AtomicBoolean();
  private final Runnable nudge = () -> nudged.set(false);
  private final Object lock = new Object();
  private int numWaiting;
  private long waitingTokens;
  private long rejected;
  private volatile @Nullable RuntimeException shut;
  private volatile long nanosPerRequest;

  Inbox(int maxRequests, long maxTokens) {
    this.maxRequests = maxRequests;
    this.maxTokens = maxTokens;
  }

  /**
   * Takes a request on.
   *
   * @param admit runs on the engine's thread
   * @throws EngineOverloadedException if too much waits
   * @throws RuntimeException that the inbox was shut with
   */
  void submit(RunningRequest request, Runnable admit) {
    int tokens = request.spec.promptIds().length;
    synchronized (lock) {
      requireOpen();
      if (numWaiting >= maxRequests) {
        rejected++;
        throw overloaded("must be <= " + maxRequests + ": waiting requests");
      }
      if (numWaiting > 0 && waitingTokens + tokens > maxTokens) {
        rejected++;
        throw overloaded(
            "must be <= "
                + maxTokens
                + ": waiting prompt tokens="
                + waitingTokens
                + " of this one="
                + tokens);
      }
      numWaiting++;
      waitingTokens += tokens;
      commands.add(admit);
    }
  }

  /** Refuses what {@link #submit} would refuse whatever the request, before it costs anything. */
  void requireRoom() {
    synchronized (lock) {
      requireOpen();
      if (numWaiting >= maxRequests) {
        rejected++;
        throw overloaded("must be <= " + maxRequests + ": waiting requests");
      }
    }
  }

  private EngineOverloadedException overloaded(String why) {
    return new EngineOverloadedException(
        "The engine takes no further request now",
        why,
        "try again after retryAfter(), or raise maxQueuedRequests or maxQueuedTokens",
        retryAfter(),
        numWaiting);
  }

  /** A place is free when a request left, so after the mean time between two of them. */
  private Duration retryAfter() {
    long nanos = nanosPerRequest;
    if (nanos == 0) {
      return Duration.ofSeconds(1);
    }
    Duration estimate = Duration.ofNanos(nanos);
    if (estimate.compareTo(LEAST_RETRY) < 0) {
      return LEAST_RETRY;
    }
    return estimate.compareTo(MOST_RETRY) > 0 ? MOST_RETRY : estimate;
  }

  /** Sends a command that needs an answer. */
  void post(Runnable command) {
    synchronized (lock) {
      requireOpen();
      commands.add(command);
    }
  }

  /** Sends a command that sets something free; it is taken even after shutting, or needs not be. */
  void postLate(Runnable command) {
    commands.add(command);
  }

  /** Wakes the engine's thread so that it looks around. However often it is called, one waits. */
  void nudge() {
    if (nudged.compareAndSet(false, true)) {
      commands.add(nudge);
    }
  }

  /** Notes that a request left the queue. */
  void left(RunningRequest request) {
    synchronized (lock) {
      numWaiting--;
      waitingTokens -= request.spec.promptIds().length;
    }
  }

  /** Notes the mean time between the ends of two requests, 0 where none is known. */
  void setNanosPerRequest(long nanos) {
    nanosPerRequest = nanos;
  }

  int numWaiting() {
    synchronized (lock) {
      return numWaiting;
    }
  }

  long numRejected() {
    synchronized (lock) {
      return rejected;
    }
  }

  boolean isEmpty() {
    return commands.isEmpty();
  }

  /** Returns the next command, or null. */
  @Nullable Runnable poll() {
    return commands.poll();
  }

  /** Waits for the next command; null when the time is up. */
  @Nullable Runnable await(long nanos) throws InterruptedException {
    return nanos == Long.MAX_VALUE ? commands.take() : commands.poll(nanos, TimeUnit.NANOSECONDS);
  }

  /** Lets nothing pass any more. The first reason stays, but a broken backend outranks closing. */
  void shut(RuntimeException reason) {
    synchronized (lock) {
      if (shut == null || reason instanceof BackendException) {
        shut = reason;
      }
    }
  }

  /** Returns why nothing passes, or null. */
  @Nullable RuntimeException shutReason() {
    return shut;
  }

  private void requireOpen() {
    RuntimeException reason = shut;
    if (reason != null) {
      throw reason instanceof GenerationException ? modelClosed() : reason;
    }
  }

  static GenerationException modelClosed() {
    return new GenerationException(
        ErrorCode.MODEL_CLOSED,
        "The model cannot generate",
        "it was closed",
        "load it again, and close it after the last generation ended");
  }
}
