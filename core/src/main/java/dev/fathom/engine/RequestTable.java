package dev.fathom.engine;

import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.TokenCounts;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.FathomException;
import dev.fathom.error.GenerationException;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.sampling.ProcessorChain;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The requests between admission and end, and the only place where they end: whatever happens, each
 * gets one terminal event, after its blocks were freed. The engine's thread alone.
 */
final class RequestTable {

  private static final Logger log = LoggerFactory.getLogger(RequestTable.class);

  /** How often abandoned readers are looked for while requests wait for theirs. */
  private static final long READER_CHECK_NANOS = 100_000_000;

  private final EngineOptions options;
  private final Scheduler scheduler;
  private final Inbox inbox;
  private final EngineAdapters adapters;
  private final EngineTelemetry telemetry;
  private final int numGroups;
  private final List<RunningRequest> active = new ArrayList<>();
  private int numPaused;
  private volatile int usedBlocks;
  private long lastEndNanos;
  private long nanosPerRequest;

  RequestTable(
      EngineOptions options,
      Scheduler scheduler,
      Inbox inbox,
      EngineAdapters adapters,
      EngineTelemetry telemetry,
      int numGroups) {
    this.options = options;
    this.scheduler = scheduler;
    this.inbox = inbox;
    this.adapters = adapters;
    this.telemetry = telemetry;
    this.numGroups = numGroups;
  }

  boolean isEmpty() {
    return active.isEmpty();
  }

  /** Returns the KV blocks in use as of the last note; any thread. */
  int usedBlocks() {
    return usedBlocks;
  }

  void noteUsedBlocks() {
    int used = 0;
    for (int g = 0; g < numGroups; g++) {
      used += scheduler.usedBlocks(g);
    }
    usedBlocks = used;
    telemetry.gauges(scheduler.numRunning(), numPaused, used);
  }

  /** Makes the sequences of a request and queues them. */
  void admit(RunningRequest request) {
    active.add(request);
    try {
      makeSequences(request);
    } catch (RuntimeException | Error e) {
      fail(request, e);
    }
  }

  private void makeSequences(RunningRequest request) {
    EngineRequest spec = request.spec;
    int[] prompt = spec.promptIds();
    int maxPositions =
        (int) Math.min(options.contextTokens(), (long) prompt.length + spec.maxTokens());
    BeamOptions beams = spec.controls().beams();
    int n = beams == null ? spec.choices().size() : 1;
    Placement placement = spec.controls().placement();
    PrefixScope scope =
        new PrefixScope(placement.saltHigh(), placement.saltLow(), request.adapterId());
    Sequence leader = null;
    for (int i = 0; i < n; i++) {
      SamplingParams params = spec.choices().get(i);
      Sequence s =
          new Sequence(
              request,
              i,
              params,
              prompt,
              maxPositions,
              placement.priority(),
              scheduler.newBlocks(scope));
      steer(s, spec);
      s.leader = leader;
      leader = leader == null ? s : leader;
      request.sequences.add(s);
    }
    if (beams != null) {
      Sequence first = request.sequences.getFirst();
      request.search = new BeamSearch(request, beams, first, options.contextTokens());
    }
    request.sequences.forEach(scheduler::add);
  }

  private void steer(Sequence s, EngineRequest spec) {
    s.counts = countsFor(s.params, spec.promptIds());
    RowMask constraints = RowMask.of(spec, options.vocabSize());
    s.constraints = constraints;
    s.mask = constraints == null ? null : constraints.next();
    if (spec.controls().drafts().maxTokens() > 0) {
      s.drafts = new Drafts(spec.controls().drafts(), s.params);
    }
    if (!spec.controls().processors().isEmpty()) {
      s.processors = new ProcessorChain(spec.controls().processors(), s);
    }
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

  /** Ends what was cancelled, abandoned or is late, and notes whose reader has no room. */
  void lookAround(long nowNanos) {
    numPaused = 0;
    for (int i = active.size() - 1; i >= 0; i--) {
      RunningRequest request = active.get(i);
      if (request.isCancelled()) {
        endEarly(request, EndReason.CANCELLED);
      } else if (request.deadlineNanos() - nowNanos <= 0 && request.hasDeadline()) {
        endEarly(request, EndReason.DEADLINE);
      } else {
        askReader(request);
      }
    }
  }

  private void askReader(RunningRequest request) {
    try {
      request.paused = !request.listener.isReady();
      if (request.paused && request.listener.isAbandoned()) {
        endEarly(request, EndReason.CANCELLED);
      } else if (request.paused) {
        numPaused++;
      }
    } catch (RuntimeException | Error e) {
      fail(request, e);
    }
  }

  private void endEarly(RunningRequest request, EndReason reason) {
    request.sequences.forEach(scheduler::remove);
    end(request, reason, null);
  }

  /** Returns how long the thread may wait for commands before it must look around again. */
  long patienceNanos(long nowNanos) {
    long nanos = numPaused > 0 ? READER_CHECK_NANOS : Long.MAX_VALUE;
    for (int i = 0; i < active.size(); i++) {
      RunningRequest request = active.get(i);
      if (request.hasDeadline()) {
        nanos = Math.min(nanos, Math.max(0, request.deadlineNanos() - nowNanos));
      }
    }
    return nanos;
  }

  /** Notes that a step computes something of a request. */
  void started(RunningRequest request, long nowNanos) {
    if (request.start(nowNanos)) {
      inbox.left(request);
      telemetry.started(request);
    }
  }

  /** Frees what a request holds and ends it with a failure. */
  void fail(RunningRequest request, Throwable cause) {
    if (request.hasEnded()) {
      return;
    }
    try {
      request.sequences.forEach(scheduler::remove);
    } finally {
      end(request, EndReason.ERROR, asFailure(cause));
    }
  }

  /** Fails all requests, whatever goes wrong with one of them. */
  void failAll(RuntimeException failure) {
    for (RunningRequest request : List.copyOf(active)) {
      try {
        fail(request, failure);
      } catch (RuntimeException | Error e) {
        log.warn("freeing a request failed: reason={}", e.toString());
      }
    }
  }

  static RuntimeException asFailure(Throwable cause) {
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

  /** Ends a request whose sequences hold no block any more. */
  void end(RunningRequest request, EndReason reason, @Nullable RuntimeException failure) {
    if (request.hasEnded()) {
      return;
    }
    active.remove(request);
    adapters.release(request.adapter());
    long now = System.nanoTime();
    if (request.start(now)) {
      inbox.left(request);
    }
    noteEnd(now);
    noteUsedBlocks();
    try {
      RequestOutcome outcome = request.end(reason, failure, now);
      telemetry.ended(outcome);
      request.listener.onEnd(outcome);
    } catch (RuntimeException | Error e) {
      log.warn("listener failed at the end of a request: reason={}", e.toString());
    }
  }

  private void noteEnd(long nowNanos) {
    if (lastEndNanos != 0) {
      long interval = nowNanos - lastEndNanos;
      nanosPerRequest =
          nanosPerRequest == 0 ? interval : nanosPerRequest + (interval - nanosPerRequest) / 8;
      inbox.setNanosPerRequest(nanosPerRequest);
    }
    lastEndNanos = nowNanos;
  }
}
