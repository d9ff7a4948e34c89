package dev.fathom.engine;

import dev.fathom.backend.SampledRows;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The beam search of one request: which sequences go on with which tokens.
 *
 * <p>A step of the search begins when every beam has the row behind its last token. All beams'
 * likely tokens are ordered by the sum of their log-probabilities (ties: the better beam, the lower
 * id). Going down this order, an end or stop token makes a finished answer, another token a beam of
 * the next step, until there are {@code width} of these. At the most tokens they are all finished.
 * Answers are ordered by {@link BeamOptions#score}, of equal ones the one that was finished first.
 * The search ends early where no beam can become better than the n-th answer, so this never changes
 * the result.
 *
 * <p>A beam is a sequence like any other. One that has its row rests until the others have theirs;
 * meanwhile it may lose its blocks. A beam with several successors is followed by sequences that
 * share its blocks and copy the one that they write. Each row tells of {@code width} likely tokens
 * and one more for each that ends an answer, so that {@code width} of them can go on. The engine's
 * thread alone.
 */
final class BeamSearch {

  /** A token behind others, with the alternatives that its row had. */
  private record Step(
      @Nullable Step before, int token, float logprob, List<TokenEvent.Ranked> top) {}

  private static final class Beam {
    final Sequence sequence;
    final @Nullable Step last;
    final double logprob;
    @Nullable List<TokenEvent.Ranked> row;

    Beam(Sequence sequence, @Nullable Step last, double logprob) {
      this.sequence = sequence;
      this.last = last;
      this.logprob = logprob;
    }
  }

  private record Candidate(Beam beam, int order, TokenEvent.Ranked next, double logprob) {}

  private record Answer(Step last, double score, EndReason reason, @Nullable String stop) {}

  private static final Comparator<Candidate> BEST_FIRST =
      Comparator.comparingDouble(Candidate::logprob)
          .reversed()
          .thenComparingInt(Candidate::order)
          .thenComparingInt(candidate -> candidate.next().token());

  private final RunningRequest request;
  private final BeamOptions options;
  private final int numAnswers;
  private final int maxTokens;
  private final boolean contextEnds;
  private final List<Answer> answers = new ArrayList<>();
  private List<Beam> beams = new ArrayList<>();
  private int numTokens;

  /**
   * A search that begins with one sequence, the prompt.
   *
   * @param contextTokens most tokens of a sequence
   */
  BeamSearch(RunningRequest request, BeamOptions options, Sequence prompt, int contextTokens) {
    this.request = request;
    this.options = options;
    this.numAnswers = request.outputs.length;
    int room = contextTokens - prompt.numTokens();
    this.maxTokens = Math.min(request.spec.maxTokens(), room);
    this.contextEnds = room < request.spec.maxTokens();
    beams.add(new Beam(prompt, null, 0));
  }

  /** Takes the row of a beam; returns whether every beam has one now. */
  boolean take(Sequence s, SampledRows sampled, int row) {
    s.resting = true;
    boolean all = true;
    for (Beam beam : beams) {
      if (beam.sequence == s) {
        beam.row = top(sampled, row);
      }
      all &= beam.row != null;
    }
    return all;
  }

  private static List<TokenEvent.Ranked> top(SampledRows sampled, int row) {
    List<TokenEvent.Ranked> top = new ArrayList<>();
    for (int i = 0; i < sampled.numTop(row); i++) {
      top.add(new TokenEvent.Ranked(sampled.topToken(row, i), sampled.topLogprob(row, i)));
    }
    return top;
  }

  /**
   * Does a step of the search; all beams must have their rows.
   *
   * @return whether the search has ended
   */
  boolean advance(Scheduler scheduler) {
    numTokens++;
    List<Candidate> next = choose();
    if (numTokens == maxTokens) {
      for (Candidate candidate : next) {
        finish(candidate, contextEnds ? EndReason.CONTEXT : EndReason.LENGTH, null);
      }
      next = List.of();
    }
    answers.sort(Comparator.comparingDouble(Answer::score).reversed());
    if (!next.isEmpty() && isDecided(next.getFirst().logprob())) {
      next = List.of();
    }
    follow(next, scheduler);
    return next.isEmpty();
  }

  /** Orders what may follow; keeps what goes on and notes what ends. */
  private List<Candidate> choose() {
    List<Candidate> all = new ArrayList<>();
    for (int i = 0; i < beams.size(); i++) {
      Beam beam = beams.get(i);
      for (TokenEvent.Ranked next : rowOf(beam)) {
        all.add(new Candidate(beam, i, next, beam.logprob + next.logprob()));
      }
    }
    all.sort(BEST_FIRST);
    List<Candidate> chosen = new ArrayList<>();
    for (int i = 0; i < all.size() && chosen.size() < options.width(); i++) {
      Candidate candidate = all.get(i);
      int token = candidate.next().token();
      if (!request.isEnd(token)) {
        chosen.add(candidate);
      } else if (contains(request.spec.endIds(), token)) {
        finish(candidate, EndReason.EOS, null);
      } else {
        finish(candidate, EndReason.STOP, Integer.toString(token));
      }
    }
    return chosen;
  }

  private static List<TokenEvent.Ranked> rowOf(Beam beam) {
    if (beam.row == null) {
      throw new IllegalStateException("must have a row: beam=" + beam.sequence.order);
    }
    return beam.row;
  }

  private static boolean contains(int[] ids, int id) {
    for (int candidate : ids) {
      if (candidate == id) {
        return true;
      }
    }
    return false;
  }

  private void finish(Candidate candidate, EndReason reason, @Nullable String stop) {
    double score = options.score(candidate.logprob(), numTokens);
    answers.add(new Answer(step(candidate), score, reason, stop));
  }

  private static Step step(Candidate candidate) {
    TokenEvent.Ranked next = candidate.next();
    Beam beam = candidate.beam();
    return new Step(beam.last, next.token(), next.logprob(), rowOf(beam));
  }

  private boolean isDecided(double bestLogprob) {
    return answers.size() >= numAnswers
        && answers.get(numAnswers - 1).score() >= options.bound(bestLogprob, numTokens, maxTokens);
  }

  /** Lets sequences go on as chosen: the first successor takes over, others fork, the rest end. */
  private void follow(List<Candidate> next, Scheduler scheduler) {
    for (Beam beam : beams) {
      if (next.stream().noneMatch(candidate -> candidate.beam() == beam)) {
        scheduler.remove(beam.sequence);
        request.sequences.remove(beam.sequence);
      }
    }
    // Forks first: they copy the tokens before the parent's next one.
    List<Beam> after = new ArrayList<>();
    List<Beam> heirs = new ArrayList<>();
    for (Candidate candidate : next) {
      Beam parent = candidate.beam();
      boolean forks = heirs.contains(parent);
      heirs.add(parent);
      Sequence s = forks ? scheduler.fork(parent.sequence) : parent.sequence;
      if (forks) {
        request.sequences.add(s);
      }
      after.add(new Beam(s, step(candidate), candidate.logprob()));
    }
    for (int i = 0; i < after.size(); i++) {
      Sequence s = after.get(i).sequence;
      s.append(next.get(i).next().token());
      s.resting = false;
    }
    beams = after;
  }

  /** Puts the best answers into the outputs of the request, best first; returns their tokens. */
  int deliver() {
    int numPutOut = 0;
    for (int i = 0; i < numAnswers && i < answers.size(); i++) {
      Answer answer = answers.get(i);
      List<Step> steps = new ArrayList<>();
      for (Step step = answer.last(); step != null; step = step.before()) {
        steps.add(step);
      }
      ChoiceOutput output = request.outputs[i];
      for (Step step : steps.reversed()) {
        if (!request.isEnd(step.token())) {
          output.decode(step.token());
        }
        int wanted = Math.min(options.alternatives(), step.top().size());
        List<TokenEvent.Ranked> top = step.top().subList(0, wanted);
        output.token(i, step.token(), step.logprob(), List.copyOf(top), List.of());
      }
      output.flush();
      boolean called = answer.reason() == EndReason.EOS && output.hasCalls();
      output.end(called ? EndReason.TOOL_CALLS : answer.reason(), answer.stop());
      numPutOut += steps.size();
    }
    return numPutOut;
  }
}
