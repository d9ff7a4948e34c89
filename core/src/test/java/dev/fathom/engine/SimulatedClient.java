package dev.fathom.engine;

import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.golden.PlainBeamSearch;
import dev.fathom.sampling.HostSampler;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A client of the simulated engine: submits a request, reads, and knows what it must read, since
 * what a {@link SimulatedCache} puts out follows from the request alone.
 */
final class SimulatedClient implements RequestListener {

  /** Samples what is expected; one for all clients of a simulation. */
  static final class Oracle {
    private final HostSampler sampler = new HostSampler();
    private final SamplingRows rows = new SamplingRows(1);
    private final SampledRows sampled = new SampledRows(1, 20);
    private final float[] logits = new float[SimulatedCache.VOCAB];
  }

  final EngineRequest spec;

  /** Its place among those that the engine's thread took. */
  final int arrival;

  final int contextTokens;
  private final Oracle oracle;
  private final PlantedBug bug;
  private final int throwsAt;
  private final long[] tag;
  private final int[] count;
  private final int[] last;
  @Nullable RunningRequest running;
  @Nullable RequestOutcome outcome;
  boolean ready = true;
  boolean gone;
  boolean cancelled;
  boolean settled;

  /** Whether something was planned that fails it. */
  boolean mayFail;

  int numEvents;
  long digest;
  private @Nullable String violation;

  SimulatedClient(
      EngineRequest spec,
      int arrival,
      int contextTokens,
      int throwsAt,
      PlantedBug bug,
      Oracle oracle) {
    this.spec = spec;
    this.arrival = arrival;
    this.contextTokens = contextTokens;
    this.throwsAt = throwsAt;
    this.bug = bug;
    this.oracle = oracle;
    int n = spec.choices().size();
    this.tag = new long[n];
    this.count = new int[n];
    this.last = new int[n];
    long prefix = SimulatedCache.root(tenant());
    for (int id : spec.promptIds()) {
      prefix = SimulatedCache.next(prefix, id);
    }
    Arrays.fill(tag, prefix);
    Arrays.fill(last, spec.promptIds()[spec.promptIds().length - 1]);
  }

  long tenant() {
    return spec.controls().placement().saltHigh();
  }

  /** Returns whether this goes before another that arrived, by the rule of the queue. */
  boolean isBefore(SimulatedClient other) {
    int mine = spec.controls().placement().priority();
    int theirs = other.spec.controls().placement().priority();
    return mine != theirs ? mine < theirs : arrival < other.arrival;
  }

  /** Returns what it saw that it must not see, or null. */
  @Nullable String violation() {
    return violation;
  }

  private void require(boolean holds, String rule) {
    if (!holds && violation == null) {
      violation = rule;
    }
  }

  @Override
  public void onToken(TokenEvent event) {
    int c = event.choice();
    require(outcome == null, "no token may follow the end");
    require(event.index() == count[c], "tokens must be numbered without gaps");
    require(!hasEndedBy(c), "no token may follow the last");
    oracle.rows.clear();
    long position = spec.promptIds().length + (long) count[c];
    oracle.rows.add(spec.choices().get(c), position, null, null);
    SimulatedCache.logitsOf(tag[c], last[c], oracle.logits);
    oracle.sampler.sample(oracle.rows, 0, oracle.logits, 0, SimulatedCache.VOCAB, oracle.sampled);
    require(event.token() == oracle.sampled.token(0), "a token must be what it is alone");
    require(
        Float.floatToRawIntBits(event.logprob())
            == Float.floatToRawIntBits(oracle.sampled.logprob(0)),
        "a log-probability must be what it is alone");
    count[c]++;
    last[c] = event.token();
    tag[c] = SimulatedCache.next(tag[c], event.token());
    digest = SimulatedCache.next(digest + c, event.token());
    if (numEvents++ == throwsAt) {
      mayFail = true;
      throw new IllegalStateException("planned: listener");
    }
  }

  @Override
  public void onEnd(RequestOutcome end) {
    if (bug == PlantedBug.END_IS_SILENT && arrival % 7 == 3) {
      return;
    }
    int times = bug == PlantedBug.END_IS_TOLD_TWICE && arrival % 7 == 3 ? 2 : 1;
    for (int i = 0; i < times; i++) {
      require(outcome == null, "a request must end once");
      outcome = end;
    }
  }

  @Override
  public boolean isReady() {
    return ready;
  }

  @Override
  public boolean isAbandoned() {
    return gone;
  }

  /** Whether the last token of a choice was one that ends it. */
  private boolean hasEndedBy(int c) {
    return count[c] > 0 && (isAtEndId(c) || isFull(c) || isAtContext(c));
  }

  private boolean isAtEndId(int c) {
    return spec.endIds().length > 0 && count[c] > 0 && last[c] == spec.endIds()[0];
  }

  private boolean isFull(int c) {
    return count[c] == spec.maxTokens();
  }

  private boolean isAtContext(int c) {
    return spec.promptIds().length + count[c] >= contextTokens;
  }

  /** Returns the tokens that it read. */
  int numTokens() {
    return Arrays.stream(count).sum();
  }

  /** Checks that each choice ended for a reason that is true. */
  void checkEnd(boolean late) {
    if (outcome == null) {
      throw new AssertionError("must end: request=" + arrival);
    }
    if (spec.controls().beams() != null) {
      checkSearch(spec.controls().beams(), outcome, late);
    }
    for (int c = 0; c < count.length && spec.controls().beams() == null; c++) {
      ChoiceOutcome choice = outcome.choices().get(c);
      require(
          choice.tokens().size() == count[c], "the outcome must have the tokens that were told");
      boolean isTrue =
          switch (choice.reason()) {
            case EOS -> isAtEndId(c);
            case LENGTH -> isFull(c);
            case CONTEXT -> isAtContext(c);
            case CANCELLED -> cancelled || gone;
            case DEADLINE -> late;
            case ERROR -> mayFail;
            default -> false;
          };
      require(isTrue, "must not end with " + choice.reason() + ": failure=" + outcome.failure());
    }
    if (violation != null) {
      throw new AssertionError(violation + ": request=" + arrival);
    }
  }

  /** A search that came to its end has the answers of a plain one, and else none. */
  private void checkSearch(BeamOptions beams, RequestOutcome end, boolean late) {
    EndReason first = end.choices().getFirst().reason();
    if (first == EndReason.CANCELLED || first == EndReason.DEADLINE || first == EndReason.ERROR) {
      boolean isTrue =
          switch (first) {
            case CANCELLED -> cancelled || gone;
            case DEADLINE -> late;
            default -> mayFail;
          };
      require(isTrue, "must not end with " + first + ": failure=" + end.failure());
      return;
    }
    int room = contextTokens - spec.promptIds().length;
    List<PlainBeamSearch.Answer> expected =
        PlainBeamSearch.search(
            this::logprobs,
            spec.promptIds(),
            beams.width(),
            beams.lengthPenalty(),
            Math.min(room, spec.maxTokens()),
            spec.endIds());
    for (int c = 0; c < count.length; c++) {
      List<TokenEvent> tokens = end.choices().get(c).tokens();
      int[] ids = tokens.stream().mapToInt(TokenEvent::token).toArray();
      require(
          Arrays.equals(ids, expected.get(c).tokens()), "a search must find what it does alone");
      count[c] = ids.length;
    }
  }

  private float[] logprobs(int[] tokens) {
    long prefix = SimulatedCache.root(tenant());
    for (int id : tokens) {
      prefix = SimulatedCache.next(prefix, id);
    }
    float[] logits = new float[SimulatedCache.VOCAB];
    SimulatedCache.logitsOf(prefix, tokens[tokens.length - 1], logits);
    return PlainBeamSearch.logprobs(logits, 0, logits.length);
  }
}
