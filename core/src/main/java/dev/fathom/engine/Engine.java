package dev.fathom.engine;

import dev.fathom.backend.Executable;
import dev.fathom.backend.ExpertLoads;
import dev.fathom.backend.StepBatch;
import dev.fathom.error.BackendException;
import dev.fathom.error.GenerationException;
import dev.fathom.kvcache.GroupPool;
import dev.fathom.spill.BlockSpill;
import dev.fathom.text.Tokenizer;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Runs requests on one thread, {@code fathom-engine-N}: takes them from an inbox, lets the {@link
 * Scheduler} plan steps, submits these to the executable, and tells listeners what was sampled.
 *
 * <p>Any thread may submit and cancel. A failure belongs to one request where it can (its listener,
 * its text, its constraints and processors, a row without finite logits); to the sequences of a
 * step where the step failed; and to all requests, now and later, where the backend is broken.
 * Every request gets exactly one terminal event.
 *
 * <p>The parts: {@link Inbox} takes requests on, {@link StepLoop} is the thread, {@link
 * RequestTable} keeps requests until they end, {@link Delivery} hands out tokens.
 *
 * <p>Owns the executable: {@link #close} stops the thread, then closes it. Closing never waits for
 * long: a step that does not end leaves its memory to the thread, which frees it after the step.
 */
public final class Engine implements AutoCloseable {

  /** How long closing waits for the step that runs, and then between two looks. */
  private static final long CLOSE_PATIENCE_MILLIS = 2_000;

  private static final long LOOK_AGAIN_MILLIS = 50;
  private static final AtomicInteger NUMBER = new AtomicInteger();

  private final EngineOptions options;
  private final EngineLimits limits;
  private final Executable executable;
  private final Tokenizer tokenizer;
  private final Inbox inbox;
  private final EngineAdapters adapters;
  private final EngineTelemetry telemetry = new EngineTelemetry();
  private final @Nullable BlockSpill spill;
  private final StepLoop loop;
  private final Thread thread;
  private final AtomicBoolean freed = new AtomicBoolean();

  /** Starts the thread with {@link EngineLimits#DEFAULT}. */
  public Engine(EngineOptions options, Executable executable, Tokenizer tokenizer) {
    this(options, EngineLimits.DEFAULT, executable, tokenizer);
  }

  /** Starts the thread with default limits, but these of adapters. */
  public Engine(
      EngineOptions options, AdapterLimits adapters, Executable executable, Tokenizer tokenizer) {
    this(options, EngineLimits.DEFAULT.adapters(adapters), executable, tokenizer);
  }

  /**
   * Starts the thread.
   *
   * @param options the capacities that the executable was compiled with
   * @param limits what waits, for how long nothing may happen, how many adapters may be loaded
   * @param executable owned from now on
   * @param tokenizer decodes what is sampled
   */
  public Engine(
      EngineOptions options, EngineLimits limits, Executable executable, Tokenizer tokenizer) {
    this.options = options;
    this.limits = limits;
    this.executable = executable;
    this.tokenizer = tokenizer;
    this.inbox = new Inbox(options.maxQueued(), limits.maxQueuedTokens());
    this.adapters = new EngineAdapters(limits.adapters(), executable, inbox::post, inbox::postLate);
    this.spill = spill(options, limits, executable);
    Scheduler scheduler = new Scheduler(options, new SecureRandom().nextLong(), spill);
    telemetry.spillsTo(spill);
    this.loop = new StepLoop(options, executable, inbox, adapters, telemetry, scheduler);
    this.thread = new Thread(loop, "fathom-engine-" + NUMBER.incrementAndGet());
    thread.setDaemon(true);
    thread.start();
  }

  private static @Nullable BlockSpill spill(
      EngineOptions options, EngineLimits limits, Executable executable) {
    try {
      return limits.spill().isOn()
          ? new BlockSpill(executable, options.pools(), limits.spill())
          : null;
    } catch (RuntimeException | Error e) {
      executable.close();
      throw e;
    }
  }

  /** Returns the capacities. */
  public EngineOptions options() {
    return options;
  }

  /** Returns the KV blocks in use, all groups together, as of the last step. */
  public int usedBlocks() {
    return loop.usedBlocks();
  }

  /** Returns the adapters that requests may name. */
  public EngineAdapters adapters() {
    return adapters;
  }

  /** Returns whether the calling thread is the engine's own, which must not wait for it. */
  public boolean isEngineThread() {
    return Thread.currentThread() == thread;
  }

  /** What whoever submitted a request holds of it. Any thread may call. */
  public interface Ticket {

    /** Ends the request before the next step; does nothing where it has ended. */
    void cancel();

    /** Tells that the listener, which was not ready, is now. */
    void resume();
  }

  /**
   * Queues a request.
   *
   * @param listener hears of it on the engine's thread
   * @return how to cancel it
   * @throws dev.fathom.error.EngineOverloadedException if too many requests or tokens wait
   * @throws dev.fathom.error.InvalidRequestException if its adapter is not loaded
   * @throws GenerationException if the engine was closed
   * @throws BackendException if the backend is broken
   */
  public Ticket submit(EngineRequest spec, RequestListener listener) {
    AdapterTable.Entry adapter = adapters.acquire(spec.adapter());
    try {
      RunningRequest request =
          new RunningRequest(spec, listener, tokenizer, adapter, System.nanoTime());
      inbox.submit(request, loop.admission(request));
      return ticket(request);
    } catch (RuntimeException | Error e) {
      adapters.release(adapter);
      throw e;
    }
  }

  /**
   * Refuses at once what {@link #submit} would refuse for any request, so that no prompt is encoded
   * in vain.
   *
   * @throws dev.fathom.error.FathomException as {@link #submit}
   */
  public void requireRoom() {
    inbox.requireRoom();
  }

  private Ticket ticket(RunningRequest request) {
    return new Ticket() {
      @Override
      public void cancel() {
        if (request.cancel()) {
          inbox.nudge();
        }
      }

      @Override
      public void resume() {
        inbox.nudge();
      }
    };
  }

  /** As {@link #logits(int[], int, String, LogitsReceiver)}, without an adapter. */
  public void logits(int[] ids, int chunk, LogitsReceiver receiver) {
    logits(ids, chunk, null, receiver);
  }

  /**
   * Computes the logits of every position of a sequence, through the same executable and paged
   * cache as a generation, and hands them out on the calling thread.
   *
   * @param ids 1 to contextTokens tokens
   * @param chunk positions of a step, 1 to maxRows
   * @param adapterName a loaded adapter, or null
   * @throws GenerationException if the engine was closed or the thread interrupted
   * @throws dev.fathom.error.InvalidRequestException if the adapter is not loaded
   */
  public void logits(int[] ids, int chunk, @Nullable String adapterName, LogitsReceiver receiver) {
    AdapterTable.Entry adapter = adapters.acquire(adapterName);
    int slot = adapter == null ? StepBatch.NO_ADAPTER : adapter.slot;
    ProbeStep probe =
        new ProbeStep(ids, Math.min(chunk, options.chunkTokens()), options.vocabSize(), slot);
    try {
      while (!probe.isDone()) {
        probe.rearm();
        inbox.post(loop.arrival(probe));
        int first = probe.awaitChunk();
        for (int i = 0; i < probe.numRows(); i++) {
          receiver.accept(first + i, probe.logits(), i * options.vocabSize(), options.vocabSize());
        }
      }
    } finally {
      inbox.postLate(loop.departure(probe));
      inbox.postLate(() -> adapters.release(adapter));
    }
  }

  /**
   * Takes texts through the model and pools their hidden states; waits for all.
   *
   * @param texts 1 to contextTokens tokens each; not copied
   * @param output name of the hidden states among the outputs that were compiled
   * @param mean whether all positions are averaged, or the last one is taken
   * @param adapterName a loaded adapter, or null
   * @return a vector for each text
   * @throws GenerationException if the engine was closed or the thread interrupted
   * @throws dev.fathom.error.InvalidRequestException if the adapter is not loaded
   */
  public float[][] hidden(
      List<int[]> texts, String output, boolean mean, @Nullable String adapterName) {
    AdapterTable.Entry adapter = adapters.acquire(adapterName);
    int slot = adapter == null ? StepBatch.NO_ADAPTER : adapter.slot;
    HiddenProbe probe = new HiddenProbe(texts, output, mean, slot, options);
    try {
      if (!texts.isEmpty()) {
        inbox.post(loop.arrival(probe));
      }
      return probe.await();
    } finally {
      inbox.postLate(loop.departure(probe));
      inbox.postLate(() -> adapters.release(adapter));
    }
  }

  /** Takes the logits of a position. */
  @FunctionalInterface
  public interface LogitsReceiver {

    /** Takes {@code logits[offset, offset + vocabSize)}, valid during the call. */
    void accept(int position, float[] logits, int offset, int vocabSize);
  }

  /** Returns its numbers as they were between two events. Any thread; never waits. */
  public MetricsRecorder.Snapshot metrics() {
    return telemetry.metrics().snapshot();
  }

  /** Returns the tokens of each expert so far. Any thread; never waits. */
  public ExpertLoads expertLoads() {
    return executable.expertLoads();
  }

  /** Returns how many requests wait for their first step. */
  public int numWaiting() {
    return inbox.numWaiting();
  }

  /** Returns how many requests were refused. */
  public long numRejected() {
    return inbox.numRejected();
  }

  /** Returns the KV blocks there are, all groups together. */
  public int numBlocks() {
    return options.pools().stream().mapToInt(GroupPool::numBlocks).sum();
  }

  /** Returns how the engine does, from what its thread did last. Any thread; never waits. */
  public EngineHealth health() {
    Duration silent =
        loop.isWaiting()
            ? Duration.ZERO
            : Duration.ofNanos(Math.max(0, System.nanoTime() - loop.progressNanos()));
    RuntimeException shut = inbox.shutReason();
    if (shut != null) {
      return new EngineHealth(EngineHealth.Status.DOWN, reason(shut), silent);
    }
    long patience =
        Math.max(limits.stallAfter().toNanos(), 4 * Math.min(loop.slowestStepNanos(), 1L << 60));
    if (silent.toNanos() > patience) {
      String why = "no step ended for " + silent.toMillis() + " ms";
      return new EngineHealth(EngineHealth.Status.STALLED, why, silent);
    }
    return new EngineHealth(EngineHealth.Status.UP, "serving", silent);
  }

  private String reason(RuntimeException shut) {
    if (shut instanceof BackendException broken) {
      return broken.getMessage() == null ? broken.toString() : broken.getMessage();
    }
    if (loop.stopped().getCount() > 0) {
      return "closing: takes no new request";
    }
    return loop.hasLeft() ? "closed" : "closed, but its last step has not ended";
  }

  /** Fails what runs, stops the thread and closes the executable. Idempotent; any thread. */
  @Override
  public void close() {
    close(Duration.ZERO);
  }

  /**
   * Takes no new request, lets those that it took end for a while, then fails what still runs,
   * stops the thread and closes the executable. Idempotent; a second call with less patience ends
   * the first. An interrupt ends the waiting for requests, not the closing.
   *
   * <p>The running step is asked to end. Where it has not after two seconds, all requests get their
   * end nevertheless and this returns; the executable is closed when the step ends.
   *
   * @param drain how long requests may go on
   * @throws IllegalStateException on the engine's own thread, which cannot wait for itself
   */
  public void close(Duration drain) {
    if (isEngineThread()) {
      throw new IllegalStateException(
          "must not be the engine's own thread: thread=" + thread.getName());
    }
    inbox.shut(Inbox.modelClosed());
    boolean interrupted = false;
    if (drain.isPositive()) {
      loop.stop(true);
      interrupted = awaitDrain(drain);
    }
    loop.stop(false);
    interrupted |= awaitStop();
    interrupted |= awaitThread();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    whenStopped(() -> {
      if (freed.compareAndSet(false, true)) {
        if (spill != null) {
          spill.close();
        }
        executable.close();
      }
    });
  }

  /**
   * Does something after the engine's thread ran its last step: now where it has, else on that
   * thread. For freeing what steps use, after {@link #close}.
   */
  public void whenStopped(Runnable action) {
    loop.whenLeft(action);
  }

  /** Waits until all requests have ended; returns whether the waiting was interrupted. */
  private boolean awaitStop() {
    boolean interrupted = false;
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(CLOSE_PATIENCE_MILLIS);
    long left = CLOSE_PATIENCE_MILLIS;
    boolean stopped = false;
    while (!stopped) {
      try {
        stopped = loop.stopped().await(left, TimeUnit.MILLISECONDS) || loop.takeOver();
        left = LOOK_AGAIN_MILLIS;
      } catch (InterruptedException e) {
        interrupted = true;
        left = Math.max(1, TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime()));
      }
    }
    return interrupted;
  }

  /**
   * Waits until the thread has ended, unless a step holds it, so that what whoever closes frees is
   * free when this returns; returns whether the waiting was interrupted.
   */
  private boolean awaitThread() {
    boolean interrupted = false;
    while (!loop.isTakenOver() && thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    return interrupted;
  }

  /** Returns whether the waiting was interrupted. */
  private boolean awaitDrain(Duration drain) {
    try {
      boolean ended =
          loop.stopped().await(TimeUnit.NANOSECONDS.convert(drain), TimeUnit.NANOSECONDS);
      return !ended && Thread.interrupted();
    } catch (InterruptedException e) {
      return true;
    }
  }
}
