package dev.fathom.engine;

import dev.fathom.engine.MetricsRecorder.Counter;
import dev.fathom.engine.MetricsRecorder.Gauge;
import dev.fathom.engine.MetricsRecorder.Histogram;
import dev.fathom.spill.BlockSpill;
import java.util.function.Function;
import jdk.jfr.Event;
import jdk.jfr.FlightRecorder;
import org.jspecify.annotations.Nullable;

/**
 * What an engine tells of itself: numbers ({@link MetricsRecorder}) and events of Java Flight
 * Recorder. The engine's thread alone calls; what it calls neither waits nor, where no recording
 * asks for the event, allocates.
 */
final class EngineTelemetry {

  private final MetricsRecorder metrics = new MetricsRecorder();
  private @Nullable Probes probes;
  private long preemptions;
  private long prefixQueries;
  private long prefixHits;
  private long restored;
  private long kept;
  private long damaged;
  private @Nullable BlockSpill spill;

  /** An event of each kind, which knows whether somebody listens. */
  private record Probes(
      EngineEvents.Step step,
      EngineEvents.Request request,
      EngineEvents.Preemption preemption,
      EngineEvents.CacheHit cacheHit,
      EngineEvents.Draft draft) {

    Probes() {
      this(
          new EngineEvents.Step(),
          new EngineEvents.Request(),
          new EngineEvents.Preemption(),
          new EngineEvents.CacheHit(),
          new EngineEvents.Draft());
    }
  }

  /**
   * Returns whether somebody listens to a kind of event. Nobody does where the process has never
   * recorded: the first class of an event that is loaded starts the recorder, which takes a tenth
   * of a second that most processes need not spend.
   */
  private boolean isHeard(Function<Probes, Event> kind) {
    Probes known = probes;
    if (known == null) {
      if (!FlightRecorder.isInitialized()) {
        return false;
      }
      known = new Probes();
      probes = known;
    }
    return kind.apply(known).isEnabled();
  }

  MetricsRecorder metrics() {
    return metrics;
  }

  /** Sets the second tier whose numbers are told; null for none. */
  void spillsTo(@Nullable BlockSpill tier) {
    spill = tier;
  }

  /** Starts to time a step; null where nobody listens. */
  EngineEvents.@Nullable Step beginStep() {
    if (!isHeard(Probes::step)) {
      return null;
    }
    EngineEvents.Step event = new EngineEvents.Step();
    event.begin();
    return event;
  }

  /** A step ended well. */
  void stepped(StepPlan plan, int usedBlocks, EngineEvents.@Nullable Step event) {
    metrics.begin();
    metrics.add(Counter.STEPS, 1);
    metrics.observe(Histogram.STEP_TOKENS, plan.totalTokens());
    metrics.end();
    if (event != null) {
      event.sequences = plan.size();
      event.tokens = plan.totalTokens();
      event.usedBlocks = usedBlocks;
      event.commit();
    }
  }

  void stepFailed() {
    metrics.begin();
    metrics.add(Counter.FAILED_STEPS, 1);
    metrics.end();
  }

  /** The engine looked around. */
  void gauges(int running, int paused, int usedBlocks) {
    metrics.begin();
    metrics.set(Gauge.RUNNING, running);
    metrics.set(Gauge.PAUSED, paused);
    metrics.set(Gauge.USED_BLOCKS, usedBlocks);
    metrics.end();
  }

  /** A request got its first step. */
  void started(RunningRequest request) {
    metrics.begin();
    metrics.add(Counter.PROMPT_TOKENS, request.spec.promptIds().length);
    metrics.end();
  }

  /** A sequence got a token. */
  void token(Sequence s, long nowNanos) {
    tokens(s, 1, nowNanos);
  }

  /** A search did a step for all its beams, or put out its answers. */
  void searched(Sequence first, int tokensPutOut, long nowNanos) {
    tokens(first, tokensPutOut, nowNanos);
  }

  private void tokens(Sequence s, int count, long nowNanos) {
    metrics.begin();
    metrics.add(Counter.GENERATION_TOKENS, count);
    if (s.request.noteToken(nowNanos)) {
      metrics.observeNanos(Histogram.TIME_TO_FIRST_TOKEN, nowNanos - s.request.submittedNanos());
    }
    if (s.lastTokenNanos != 0) {
      metrics.observeNanos(Histogram.INTER_TOKEN, nowNanos - s.lastTokenNanos);
    }
    metrics.end();
    s.lastTokenNanos = nowNanos;
  }

  /** A request ended; its listener hears of it next. */
  void ended(RequestOutcome outcome) {
    int tokens = 0;
    int longest = 0;
    for (ChoiceOutcome choice : outcome.choices()) {
      tokens += choice.tokens().size();
      longest = Math.max(longest, choice.tokens().size());
    }
    record(outcome, tokens, longest);
    if (isHeard(Probes::request)) {
      EngineEvents.Request event = new EngineEvents.Request();
      event.promptTokens = outcome.promptTokens();
      event.generationTokens = tokens;
      event.choices = outcome.choices().size();
      event.finishReason = outcome.choices().getFirst().reason().name();
      event.queueNanos = outcome.queueNanos();
      event.prefillNanos = outcome.prefillNanos();
      event.decodeNanos = outcome.decodeNanos();
      event.commit();
    }
  }

  private void record(RequestOutcome outcome, int tokens, int longest) {
    metrics.begin();
    for (ChoiceOutcome choice : outcome.choices()) {
      metrics.countEnd(choice.reason());
    }
    metrics.observe(Histogram.PROMPT_TOKENS, outcome.promptTokens());
    metrics.observe(Histogram.GENERATION_TOKENS, tokens);
    metrics.observeNanos(Histogram.QUEUE, outcome.queueNanos());
    metrics.observeNanos(
        Histogram.END_TO_END,
        outcome.queueNanos() + outcome.prefillNanos() + outcome.decodeNanos());
    if (tokens > 0) {
      metrics.observeNanos(Histogram.PREFILL, outcome.prefillNanos());
      metrics.observeNanos(Histogram.DECODE, outcome.decodeNanos());
    }
    if (longest > 1) {
      metrics.observeNanos(Histogram.TIME_PER_OUTPUT_TOKEN, outcome.decodeNanos() / (longest - 1));
    }
    metrics.end();
  }

  /** A step was planned: takes over what the scheduler has counted since the last one. */
  void scheduled(Scheduler scheduler) {
    if (spill != null) {
      spilled(spill, scheduler.numRestoredTokens());
    }
    long preempted = scheduler.numPreemptions() - preemptions;
    long queried = scheduler.numLookedUpTokens() - prefixQueries;
    long hits = scheduler.numHitTokens() - prefixHits;
    if (preempted == 0 && queried == 0) {
      return;
    }
    preemptions += preempted;
    prefixQueries += queried;
    prefixHits += hits;
    metrics.begin();
    metrics.add(Counter.PREEMPTIONS, preempted);
    metrics.add(Counter.PREFIX_QUERIES, queried);
    metrics.add(Counter.PREFIX_HITS, hits);
    metrics.end();
    if (preempted > 0 && isHeard(Probes::preemption)) {
      EngineEvents.Preemption event = new EngineEvents.Preemption();
      event.sequences = preempted;
      event.commit();
    }
    if (hits > 0 && isHeard(Probes::cacheHit)) {
      EngineEvents.CacheHit event = new EngineEvents.CacheHit();
      event.queried = queried;
      event.hits = hits;
      event.commit();
    }
  }

  private void spilled(BlockSpill tier, long restoredTokens) {
    metrics.begin();
    metrics.add(Counter.KEPT_BLOCKS, tier.numKept() - kept);
    metrics.add(Counter.DAMAGED_BLOCKS, tier.numDamaged() - damaged);
    metrics.add(Counter.RESTORED_TOKENS, restoredTokens - restored);
    metrics.end();
    kept = tier.numKept();
    damaged = tier.numDamaged();
    restored = restoredTokens;
  }

  /** A draft was verified. */
  void drafted(int numTokens, int accepted) {
    metrics.begin();
    metrics.add(Counter.DRAFTS, 1);
    metrics.add(Counter.DRAFT_TOKENS, numTokens);
    metrics.add(Counter.ACCEPTED_TOKENS, accepted);
    metrics.end();
    if (isHeard(Probes::draft)) {
      EngineEvents.Draft event = new EngineEvents.Draft();
      event.tokens = numTokens;
      event.accepted = accepted;
      event.commit();
    }
  }
}
