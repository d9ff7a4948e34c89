package dev.fathom.engine;

import dev.fathom.backend.SampledRows;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.sampling.HostSampler;
import dev.fathom.sampling.ProcessorChain;
import dev.fathom.sampling.RepetitionGuard;
import dev.fathom.text.OutputEvent;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Takes what the rows of a step sampled: appends it to the sequences, decides whether a choice
 * ends, tells the listeners. Whatever goes wrong concerns one request alone. The engine's thread
 * alone.
 */
final class Delivery {

  private final EngineOptions options;
  private final Scheduler scheduler;
  private final RequestTable requests;
  private final EngineTelemetry telemetry;

  Delivery(
      EngineOptions options,
      Scheduler scheduler,
      RequestTable requests,
      EngineTelemetry telemetry) {
    this.options = options;
    this.scheduler = scheduler;
    this.requests = requests;
    this.telemetry = telemetry;
  }

  /** Takes the rows of each sequence of a completed step. */
  void take(StepPlan plan, SampledRows sampled) {
    for (int i = 0; i < plan.size(); i++) {
      int row = plan.row(i);
      Sequence s = plan.sequence(i);
      BeamSearch search = s.request.search;
      if (row < 0 || s.request.hasEnded()) {
        continue;
      }
      if (search == null) {
        takeAll(s, sampled, row, plan.numDrafts(i));
      } else {
        takeBeam(search, s, sampled, row);
      }
    }
  }

  /**
   * Takes the row behind the last known token, and the row behind each guess as long as the guesses
   * are what was put out: their keys and values are computed then.
   */
  private void takeAll(Sequence s, SampledRows sampled, int row, int numDrafts) {
    Drafts drafts = s.drafts;
    if (drafts == null) {
      take(s, sampled, row);
      return;
    }
    drafts.noteVerified(numDrafts);
    take(s, sampled, row);
    int held = 0;
    while (held < numDrafts
        && s.state == Sequence.State.RUNNING
        && sampled.token(row + held) == drafts.token(held)) {
      drafts.noteHeld(held++);
      s.numComputed++;
      take(s, sampled, row + held);
    }
    if (numDrafts > 0) {
      telemetry.drafted(numDrafts, held);
    }
    drafts.clear();
  }

  /** Gives a row to a search; where it was the last of its step, the search goes on or ends. */
  private void takeBeam(BeamSearch search, Sequence s, SampledRows sampled, int row) {
    RunningRequest request = s.request;
    try {
      if (sampled.token(row) < 0) {
        throw noToken(sampled.token(row));
      }
      if (!search.take(s, sampled, row)) {
        return;
      }
      boolean ended = search.advance(scheduler);
      telemetry.searched(s, ended ? search.deliver() : 0, System.nanoTime());
      if (ended) {
        requests.end(request, EndReason.LENGTH, null);
      }
    } catch (RuntimeException | Error e) {
      requests.fail(request, e);
    }
  }

  private void take(Sequence s, SampledRows sampled, int row) {
    try {
      requireProcessed(s);
      int token = sampled.token(row);
      if (token < 0) {
        throw noToken(token);
      }
      telemetry.token(s, System.nanoTime());
      s.append(token);
      if (s.counts != null) {
        s.counts.addOutput(token);
      }
      accept(s, token, sampled, row);
    } catch (RuntimeException | Error e) {
      requests.fail(s.request, e);
    }
  }

  private static void requireProcessed(Sequence s) {
    ProcessorChain processors = s.processors;
    Throwable failure = processors == null ? null : processors.failure();
    if (failure != null) {
      throw new GenerationException(
          ErrorCode.GENERATION_FAILED,
          "A logits processor of the request failed",
          failure.toString(),
          "mend the processor, or leave it out",
          failure);
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
    boolean isEnd = contains(spec.endIds(), token);
    boolean isStop = contains(spec.stopIds(), token);
    List<OutputEvent> events = isEnd || isStop ? List.of() : output.decode(token);
    String stop = isStop ? Integer.toString(token) : output.matchedStop();
    EndReason reason = isEnd ? EndReason.EOS : stop != null ? EndReason.STOP : lengthReason(s);
    if (reason != null) {
      events = new ArrayList<>(events);
      events.addAll(output.flush());
      boolean called = reason == EndReason.EOS && output.hasCalls();
      output.end(called ? EndReason.TOOL_CALLS : reason, reason == EndReason.STOP ? stop : null);
      scheduler.remove(s);
    } else if (s.constraints != null) {
      s.mask = s.constraints.after(token);
    }
    request.listener.onToken(
        output.token(s.choice, token, sampled.logprob(row), top(sampled, row), events));
    if (reason != null && request.endChoice()) {
      requests.end(request, reason, null);
    }
  }

  private @Nullable EndReason lengthReason(Sequence s) {
    EngineRequest spec = s.request.spec;
    if (s.length() - s.promptLength() == spec.maxTokens()) {
      return EndReason.LENGTH;
    }
    if (s.length() >= options.contextTokens()) {
      return EndReason.CONTEXT;
    }
    RepetitionGuard guard = spec.controls().repetition();
    return guard != null && guard.repeats(s) ? EndReason.REPETITION : null;
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
}
