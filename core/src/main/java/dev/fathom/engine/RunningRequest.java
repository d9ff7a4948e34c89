package dev.fathom.engine;

import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.StepBatch;
import dev.fathom.text.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A request inside the engine: its outputs, its sequences, its times, and whether it has ended.
 *
 * <p>{@link #cancel} may be called by any thread; all else belongs to the engine's thread.
 */
final class RunningRequest {

  /** A century: farther ahead no deadline is told from none. */
  private static final long FAR_NANOS = 100L * 365 * 24 * 3600 * 1_000_000_000;

  final EngineRequest spec;
  final RequestListener listener;
  final ChoiceOutput[] outputs;
  final List<Sequence> sequences = new ArrayList<>();

  /** The search that its sequences are beams of, or null. */
  @Nullable BeamSearch search;

  private final AdapterTable.@Nullable Entry adapter;
  private final long submittedNanos;
  private final long deadlineNanos;
  private volatile boolean cancelled;

  /** Whether its reader has no room; its sequences sit out. */
  boolean paused;

  private long startedNanos;
  private long firstTokenNanos;
  private boolean started;
  private boolean hasToken;
  private boolean ended;
  private int numOpen;

  RunningRequest(
      EngineRequest spec,
      RequestListener listener,
      Tokenizer tokenizer,
      AdapterTable.@Nullable Entry adapter,
      long submittedNanos) {
    this.spec = spec;
    this.listener = listener;
    this.adapter = adapter;
    this.submittedNanos = submittedNanos;
    this.deadlineNanos = submittedNanos + Math.min(spec.controls().timeoutNanos(), FAR_NANOS);
    this.numOpen = spec.choices().size();
    this.outputs = new ChoiceOutput[numOpen];
    for (int i = 0; i < numOpen; i++) {
      outputs[i] = new ChoiceOutput(tokenizer, spec);
    }
  }

  /** Returns the adapter that this request holds until it has ended, or null. */
  AdapterTable.@Nullable Entry adapter() {
    return adapter;
  }

  /** Returns the adapter slot of all its sequences. */
  int adapterSlot() {
    return adapter == null ? StepBatch.NO_ADAPTER : adapter.slot;
  }

  /** Returns what tells cached prefixes of different adapters apart; 0 for none. */
  long adapterId() {
    return adapter == null ? 0 : adapter.id;
  }

  /** Returns true the first time. */
  boolean cancel() {
    boolean first = !cancelled;
    cancelled = true;
    return first;
  }

  boolean isPaused() {
    return paused;
  }

  boolean hasDeadline() {
    return spec.controls().timeoutNanos() < FAR_NANOS;
  }

  /** Returns when it ends at the latest, on the clock of {@link System#nanoTime}. */
  long deadlineNanos() {
    return deadlineNanos;
  }

  boolean isCancelled() {
    return cancelled;
  }

  boolean hasEnded() {
    return ended;
  }

  /** Returns whether a token ends a choice. */
  boolean isEnd(int token) {
    return contains(spec.endIds(), token) || contains(spec.stopIds(), token);
  }

  private static boolean contains(int[] ids, int id) {
    for (int candidate : ids) {
      if (candidate == id) {
        return true;
      }
    }
    return false;
  }

  private DraftCounts draftCounts() {
    DraftCounts counts = DraftCounts.NONE;
    for (Sequence s : sequences) {
      Drafts drafts = s.drafts;
      counts = drafts == null ? counts : counts.plus(drafts.counts());
    }
    return counts;
  }

  /** Returns true the first time. */
  boolean start(long nowNanos) {
    if (started) {
      return false;
    }
    started = true;
    startedNanos = nowNanos;
    return true;
  }

  boolean hasStarted() {
    return started;
  }

  /** Returns true for the first token. */
  boolean noteToken(long nowNanos) {
    if (hasToken) {
      return false;
    }
    hasToken = true;
    firstTokenNanos = nowNanos;
    return true;
  }

  long submittedNanos() {
    return submittedNanos;
  }

  /** Ends a choice; returns whether it was the last. */
  boolean endChoice() {
    return --numOpen == 0;
  }

  /**
   * Ends the request, once, and returns what its listener is to hear.
   *
   * @param reason of choices that are still open
   */
  RequestOutcome end(EndReason reason, @Nullable RuntimeException failure, long nowNanos) {
    ended = true;
    List<ChoiceOutcome> outcomes = new ArrayList<>();
    List<SamplingParams> choices = spec.choices();
    for (int i = 0; i < outputs.length; i++) {
      outputs[i].end(reason, null);
      outcomes.add(outputs[i].outcome(choices.get(i).seed()));
    }
    long begin = started ? startedNanos : nowNanos;
    long first = hasToken ? firstTokenNanos : nowNanos;
    return new RequestOutcome(
        outcomes,
        failure,
        spec.promptIds().length,
        sequences.isEmpty() ? 0 : Math.max(0, sequences.getFirst().numCached),
        draftCounts(),
        begin - submittedNanos,
        first - begin,
        nowNanos - first);
  }
}
