package dev.fathom.engine;

import dev.fathom.backend.Executable;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.backend.TokenCounts;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.FathomException;
import dev.fathom.error.GenerationException;
import dev.fathom.sampling.HostSampler;
import dev.fathom.text.OutputEvent;
import dev.fathom.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs requests on one thread, {@code fathom-engine-N}: takes them from an inbox, lets the {@link
 * Scheduler} plan steps, submits these to the executable, and tells listeners what was sampled.
 *
 * <p>Any thread may submit and cancel. A failure belongs to one request where it can (its listener,
 * its text, a row without finite logits); to the sequences of a step where the step failed; and to
 * all requests, now and later, where the backend is broken. Every request gets exactly one terminal
 * event.
 *
 * <p>Owns the executable: {@link #close} stops the thread, then closes it.
 */
public final class Engine implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Engine.class);
  private static final AtomicInteger NUMBER = new AtomicInteger();

  private final EngineOptions options;
  private final Executable executable;
  private final Tokenizer tokenizer;
  private final Scheduler scheduler;
  private final StepPlan plan;
  private final StepBatch batch;
  private final SamplingRows rows;
  private final HostSampler sampler = new HostSampler();
  private final int numGroups;
  private final LinkedBlockingQueue<Runnable> inbox = new LinkedBlockingQueue<>();
  private final List<RunningRequest> active = new ArrayList<>();
  private final List<ProbeStep> probes = new ArrayList<>();
  private final AtomicInteger numQueued = new AtomicInteger();
  private final AtomicInteger usedBlocks = new AtomicInteger();
  private final EngineAdapters adapters;
  private final Object lifecycle = new Object();
  private final CountDownLatch stopped = new CountDownLatch(1);
  private volatile boolean closed;
  private volatile @Nullable BackendException broken;

  /**
   * Starts the thread.
   *
   * @param options the capacities that the executable was compiled with
   * @param executable owned from now on
   * @param tokenizer decodes what is sampled
   */
  public Engine(EngineOptions options, Executable executable, Tokenizer tokenizer) {
    this(options, AdapterLimits.NONE, executable, tokenizer);
  }

  /**
   * Starts the thread.
   *
   * @param options the capacities that the executable was compiled with
   * @param limits how many adapters may be loaded
   * @param executable owned from now on
   * @param tokenizer decodes what is sampled
   */
  public Engine(
      EngineOptions options, AdapterLimits limits, Executable executable, Tokenizer tokenizer) {
    this.adapters = new EngineAdapters(limits, executable, this::post, inbox::add);
    this.options = options;
    this.executable = executable;
    this.tokenizer = tokenizer;
    this.numGroups = executable.numKvGroups();
    this.scheduler = new Scheduler(options, numGroups);
    this.plan = new StepPlan(options.maxSequences(), numGroups);
    this.batch = executable.newBatch();
    this.rows = new SamplingRows(options.maxRows());
    Thread thread = new Thread(this::run, "fathom-engine-" + NUMBER.incrementAndGet());
    thread.setDaemon(true);
    thread.start();
  }

  /** Returns the capacities. */
  public EngineOptions options() {
    return options;
  }

  /** Returns the KV blocks in use, all groups together, as of the last step. */
  public int usedBlocks() {
    return usedBlocks.get();
  }

  /** Cancels a submitted request. */
  @FunctionalInterface
  public interface Cancellation {

    /** Ends the request before the next step; does nothing where it has ended. */
    void cancel();
  }

  /**
   * Queues a request.
   *
   * @param listener hears of it on the engine's thread
   * @return how to cancel it
   * @throws GenerationException if the engine was closed or too many requests wait
   * @throws BackendException if the backend is broken
   * @throws dev.fathom.error.InvalidRequestException if its adapter is not loaded
   */
  public Cancellation submit(EngineRequest spec, RequestListener listener) {
    AdapterTable.Entry adapter = adapters.acquire(spec.adapter());
    try {
      RunningRequest request =
          new RunningRequest(spec, listener, tokenizer, adapter, System.nanoTime());
      return submit(request);
    } catch (RuntimeException | Error e) {
      adapters.release(adapter);
      throw e;
    }
  }

  private Cancellation submit(RunningRequest request) {
    if (numQueued.incrementAndGet() > options.maxQueued()) {
      numQueued.decrementAndGet();
      throw new GenerationException(
          ErrorCode.ENGINE_OVERLOADED,
          "The engine takes no further request now",
          "must be <= " + options.maxQueued() + ": waiting requests",
          "try again later, or raise maxQueuedRequests");
    }
    try {
      post(() -> admit(request));
    } catch (FathomException e) {
      numQueued.decrementAndGet();
      throw e;
    }
    return () -> {
      request.cancel();
      inbox.add(() -> {});
    };
  }

  /** Returns the adapters that requests may name. */
  public EngineAdapters adapters() {
    return adapters;
  }

  private void post(Runnable command) {
    synchronized (lifecycle) {
      BackendException failure = broken;
      if (failure != null) {
        throw failure;
      }
      if (closed) {
        throw modelClosed();
      }
      inbox.add(command);
    }
  }

  private static GenerationException modelClosed() {
    return new GenerationException(
        ErrorCode.MODEL_CLOSED,
        "The model cannot generate",
        "it was closed",
        "load it again, and close it after the last generation ended");
  }

  /**
   * Computes the logits of every position of a sequence, through the same executable and paged
   * cache as a generation, and hands them out on the calling thread.
   *
   * @param ids 1 to contextTokens tokens
   * @param chunk positions of a step, 1 to maxRows
   * @throws GenerationException if the engine was closed or the thread interrupted
   */
  public void logits(int[] ids, int chunk, LogitsReceiver receiver) {
    ProbeStep probe = new ProbeStep(ids, chunk, options.vocabSize(), numGroups);
    try {
      while (!probe.isDone()) {
        probe.rearm();
        post(() -> probes.add(probe));
        int first = probe.awaitChunk();
        for (int i = 0; i < probe.numRows(); i++) {
          receiver.accept(first + i, probe.logits(), i * options.vocabSize(), options.vocabSize());
        }
      }
    } finally {
      inbox.add(() -> {
        probes.remove(probe);
        scheduler.unpin(probe.tables);
      });
    }
  }

  /** Takes the logits of a position. */
  @FunctionalInterface
  public interface LogitsReceiver {

    /** Takes {@code logits[offset, offset + vocabSize)}, valid during the call. */
    void accept(int position, float[] logits, int offset, int vocabSize);
  }

  private void run() {
    try {
      while (!closed) {
        loop();
      }
    } catch (InterruptedException | RuntimeException | Error e) {
      log.error("engine stopped: reason={}", e.toString(), e);
      synchronized (lifecycle) {
        broken = brokenBy(e);
      }
    }
    endAll();
    stopped.countDown();
  }

  private void loop() throws InterruptedException {
    boolean idle = scheduler.isIdle() && probes.isEmpty();
    Runnable command = idle ? inbox.take() : inbox.poll();
    while (command != null) {
      command.run();
      command = inbox.poll();
    }
    endCancelled();
    if (!closed && !runProbe()) {
      scheduler.plan(plan, probes.isEmpty() || scheduler.numRunning() == 0);
      if (plan.size() > 0) {
        noteUsedBlocks();
        step();
      }
    }
    noteUsedBlocks();
  }

  private void noteUsedBlocks() {
    int used = 0;
    for (int g = 0; g < numGroups; g++) {
      used += scheduler.usedBlocks(g);
    }
    usedBlocks.set(used);
  }

  private void admit(RunningRequest request) {
    active.add(request);
    try {
      makeSequences(request);
    } catch (RuntimeException e) {
      fail(request, e);
    }
  }

  private void makeSequences(RunningRequest request) {
    EngineRequest spec = request.spec;
    int[] prompt = spec.promptIds();
    int maxPositions =
        (int) Math.min(options.contextTokens(), (long) prompt.length + spec.maxTokens());
    int n = spec.choices().size();
    long[] mask = spec.minTokens() > 0 ? maskOfEnds(spec) : null;
    Sequence prefix = null;
    if (n > 1 && prompt.length > 1) {
      int len = prompt.length - 1;
      prefix = new Sequence(request, 0, SamplingParams.GREEDY, prompt, len, len, true, numGroups);
      request.sequences.add(prefix);
    }
    for (int i = 0; i < n; i++) {
      SamplingParams params = spec.choices().get(i);
      Sequence s =
          new Sequence(request, i, params, prompt, prompt.length, maxPositions, false, numGroups);
      s.counts = countsFor(params, prompt);
      s.mask = mask;
      s.lender = prefix;
      request.sequences.add(s);
      if (prefix != null) {
        prefix.borrowers.add(s);
      }
    }
    if (prefix != null) {
      scheduler.add(prefix);
    } else {
      request.sequences.forEach(scheduler::add);
    }
  }

  private long[] maskOfEnds(EngineRequest spec) {
    long[] mask = new long[Math.ceilDiv(options.vocabSize(), Long.SIZE)];
    Arrays.fill(mask, -1);
    for (int id : spec.endIds()) {
      mask[id >> 6] &= ~(1L << id);
    }
    for (int id : spec.stopIds()) {
      mask[id >> 6] &= ~(1L << id);
    }
    return mask;
  }

  private static @Nullable TokenCounts countsFor(SamplingParams params, int[] prompt) {
    boolean repetition = params.repetitionPenalty() != 1;
    if (!repetition && params.presencePenalty() == 0 && params.frequencyPenalty() == 0) {
      return null;
    }
    TokenCounts counts = new TokenCounts();
    if (repetition) {
      for (int id : prompt) {
        counts.addPrompt(id);
      }
    }
    return counts;
  }

  private void endCancelled() {
    for (int i = active.size() - 1; i >= 0; i--) {
      RunningRequest request = active.get(i);
      if (request.isCancelled()) {
        request.sequences.forEach(scheduler::remove);
        end(request, EndReason.CANCELLED, null);
      }
    }
  }

  private void step() {
    long now = System.nanoTime();
    for (int i = 0; i < plan.size(); i++) {
      if (plan.sequence(i).request.start(now)) {
        numQueued.decrementAndGet();
      }
    }
    SampledRows sampled;
    try {
      plan.fill(batch, rows);
      StepHandle handle = executable.submit(batch, rows, sampler);
      handle.await();
      sampled = handle.sampled();
    } catch (RuntimeException | Error e) {
      failStep(e);
      return;
    }
    scheduler.complete(plan);
    for (int i = 0; i < plan.size(); i++) {
      int row = plan.row(i);
      Sequence s = plan.sequence(i);
      if (row >= 0 && !s.request.hasEnded()) {
        take(s, sampled, row);
      }
    }
  }

  private void failStep(Throwable e) {
    log.warn("step failed: sequences={} reason={}", plan.size(), e.toString());
    BackendException sticky = stickyOf(e);
    if (sticky != null) {
      synchronized (lifecycle) {
        broken = sticky;
      }
      List.copyOf(active).forEach(request -> fail(request, sticky));
      failProbes(sticky);
      return;
    }
    for (int i = 0; i < plan.size(); i++) {
      fail(plan.sequence(i).request, e);
    }
  }

  private static @Nullable BackendException stickyOf(Throwable e) {
    return e instanceof BackendException b && b.code() == ErrorCode.BACKEND_BROKEN ? b : null;
  }

  private static BackendException brokenBy(Throwable e) {
    return new BackendException(
        ErrorCode.BACKEND_BROKEN,
        "The engine stopped",
        e.toString(),
        "close the model and load it again",
        e);
  }

  /** Takes what a row sampled; whatever goes wrong here concerns its request alone. */
  private void take(Sequence s, SampledRows sampled, int row) {
    try {
      int token = sampled.token(row);
      if (token < 0) {
        throw noToken(token);
      }
      s.request.noteToken(System.nanoTime());
      s.append(token);
      if (s.counts != null) {
        s.counts.addOutput(token);
      }
      accept(s, token, sampled, row);
    } catch (RuntimeException | Error e) {
      fail(s.request, e);
    }
  }

  private static GenerationException noToken(int token) {
    boolean notFinite = token == HostSampler.NOT_FINITE;
    return new GenerationException(
        ErrorCode.GENERATION_FAILED,
        "No token could be sampled",
        notFinite ? "no logit of the row is finite" : "no token is allowed",
        notFinite
            ? "check that the weights are intact; another backend tells whether it is to blame"
            : "allow at least one token besides the end tokens");
  }

  private void accept(Sequence s, int token, SampledRows sampled, int row) {
    RunningRequest request = s.request;
    EngineRequest spec = request.spec;
    ChoiceOutput output = request.outputs[s.choice];
    int put = output.numTokens() + 1;
    if (put == spec.minTokens()) {
      s.mask = null;
    }
    boolean isEnd = contains(spec.endIds(), token);
    boolean isStop = contains(spec.stopIds(), token);
    List<OutputEvent> events = isEnd || isStop ? List.of() : output.decode(token);
    String stop = isStop ? Integer.toString(token) : output.matchedStop();
    EndReason reason = null;
    if (isEnd) {
      reason = output.hasCalls() ? EndReason.TOOL_CALLS : EndReason.EOS;
    } else if (stop != null) {
      reason = EndReason.STOP;
    } else if (put == spec.maxTokens()) {
      reason = EndReason.LENGTH;
    } else if (s.numTokens() >= options.contextTokens()) {
      reason = EndReason.CONTEXT;
    }
    if (reason != null) {
      events = new ArrayList<>(events);
      events.addAll(output.flush());
      boolean called = reason == EndReason.EOS && output.hasCalls();
      output.end(called ? EndReason.TOOL_CALLS : reason, reason == EndReason.STOP ? stop : null);
      scheduler.remove(s);
    }
    request.listener.onToken(
        output.token(s.choice, token, sampled.logprob(row), top(sampled, row), events));
    if (reason != null && request.endChoice()) {
      end(request, reason, null);
    }
  }

  private static boolean contains(int[] ids, int id) {
    for (int candidate : ids) {
      if (candidate == id) {
        return true;
      }
    }
    return false;
  }

  private static List<TokenEvent.Ranked> top(SampledRows sampled, int row) {
    int n = sampled.numTop(row);
    if (n == 0) {
      return List.of();
    }
    List<TokenEvent.Ranked> top = new ArrayList<>(n);
    for (int i = 0; i < n; i++) {
      top.add(new TokenEvent.Ranked(sampled.topToken(row, i), sampled.topLogprob(row, i)));
    }
    return List.copyOf(top);
  }

  private void fail(RunningRequest request, Throwable cause) {
    request.sequences.forEach(scheduler::remove);
    end(request, EndReason.ERROR, asFailure(cause));
  }

  private static RuntimeException asFailure(Throwable cause) {
    if (cause instanceof FathomException e) {
      return e;
    }
    return new GenerationException(
        ErrorCode.GENERATION_FAILED,
        "The generation failed",
        cause.toString(),
        "try again; if it fails again, report it with the cause below",
        cause);
  }

  private void end(RunningRequest request, EndReason reason, @Nullable RuntimeException failure) {
    active.remove(request);
    if (request.start(System.nanoTime())) {
      numQueued.decrementAndGet();
    }
    noteUsedBlocks();
    if (!request.hasEnded()) {
      adapters.release(request.adapter());
    }
    try {
      request.end(reason, failure, System.nanoTime());
    } catch (RuntimeException e) {
      log.warn("listener failed at the end of a request: reason={}", e.toString());
    }
  }

  /** Runs one waiting chunk of logits; returns whether it did. */
  private boolean runProbe() {
    if (probes.isEmpty()) {
      return false;
    }
    ProbeStep probe = probes.getFirst();
    if (!probe.isPinned() && !scheduler.pin(probe.tables, probe.length())) {
      return false;
    }
    probes.removeFirst();
    try {
      probe.run(executable, batch, rows);
    } catch (RuntimeException | Error e) {
      probe.fail(asFailure(e));
    }
    return true;
  }

  private void failProbes(RuntimeException failure) {
    probes.forEach(probe -> probe.fail(failure));
    probes.clear();
  }

  /** The last thing that the thread does. */
  private void endAll() {
    synchronized (lifecycle) {
      closed = true;
    }
    BackendException cause = broken;
    RuntimeException failure = cause == null ? modelClosed() : cause;
    for (Runnable command = inbox.poll(); command != null; command = inbox.poll()) {
      command.run();
    }
    List.copyOf(active).forEach(request -> fail(request, failure));
    failProbes(failure);
    noteUsedBlocks();
  }

  /** Fails what runs, stops the thread and closes the executable. Idempotent; any thread. */
  @Override
  public void close() {
    synchronized (lifecycle) {
      closed = true;
    }
    inbox.add(() -> {});
    boolean interrupted = false;
    while (stopped.getCount() > 0) {
      try {
        stopped.await();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    executable.close();
  }
}
