package dev.fathom.engine;

import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.error.BackendException;
import dev.fathom.error.EngineOverloadedException;
import dev.fathom.error.ErrorCode;
import dev.fathom.kvcache.GroupPool;
import dev.fathom.kvcache.KvCache;
import dev.fathom.kvcache.KvGroup;
import dev.fathom.kvcache.KvGroups;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.kvcache.SequenceBlocks;
import dev.fathom.sampling.CounterRandom;
import dev.fathom.sampling.HostSampler;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * The engine's loop on the calling thread, with a clock of its own, over a {@link SimulatedCache}:
 * everything that happens follows from a seed.
 *
 * <p>Clients submit, cancel, read slowly, hang up, throw and are late; steps fail, half done or
 * not, for want of memory, or for good; pools have a few blocks, hashes 4 bits, sequences are
 * preempted and the prefixes forgotten at random. After every turn the invariants are checked.
 */
final class EngineSimulation implements SimulatedCache.Observer {

  static final int MIN_REQUESTS = 20;
  static final int MIN_STEPS = 200;
  private static final int MAX_TURNS = 4000;

  private static final Tokenizer TOKENIZER =
      Tokenizer.load(Path.of("..", "examples", "models", "sample", "tokenizer.json"));

  /** A bug that is planted, to see whether it is found. */
  enum Bug {
    NONE,
    /** Copies on write are decided but not made. */
    COPIES_ARE_DROPPED,
    /** Tenants are not told apart. */
    TENANTS_SHARE,
    /** Blocks can be found before the step that fills them ran. */
    PUBLISHED_BEFORE_THE_STEP,
    /** What gave up its blocks goes on as if it had them. */
    PREEMPTED_KEEPS_ITS_PLACE,
    /** Blocks leave a window a token too early. */
    WINDOW_IS_SHORT,
    /** Who is cancelled keeps its blocks. */
    CANCELLED_KEEPS_ITS_BLOCKS,
    /** More is published than was computed. */
    PUBLISHED_TOO_FAR,
    /** A prefix is taken from a sequence that has not computed it. */
    LEADER_IS_NOT_AWAITED,
    /** A row more than computed is believed cached. */
    COUNTS_ONE_TOO_MANY
  }

  /** A client's request. */
  private static final class Client implements RequestListener {
    final EngineRequest spec;
    final List<List<Integer>> tokens = new ArrayList<>();
    final int throwsAt;
    @Nullable RunningRequest running;
    @Nullable RequestOutcome outcome;
    boolean ready = true;
    boolean gone;
    boolean cancelled;
    boolean settled;
    int numEvents;
    @Nullable String violation;

    Client(EngineRequest spec, int throwsAt) {
      this.spec = spec;
      this.throwsAt = throwsAt;
      spec.choices().forEach(choice -> tokens.add(new ArrayList<>()));
    }

    @Override
    public void onToken(TokenEvent event) {
      if (outcome != null) {
        violation = "a token after the end";
      }
      List<Integer> sofar = tokens.get(event.choice());
      if (event.index() != sofar.size()) {
        violation = "index " + event.index() + " after " + sofar.size() + " tokens";
      }
      sofar.add(event.token());
      if (numEvents++ == throwsAt) {
        throw new IllegalStateException("planned: listener");
      }
    }

    @Override
    public void onEnd(RequestOutcome end) {
      if (outcome != null) {
        violation = "a second end";
      }
      outcome = end;
    }

    @Override
    public boolean isReady() {
      return ready;
    }

    @Override
    public boolean isAbandoned() {
      return gone;
    }
  }

  private final SplittableRandom random;
  private final Bug bug;
  private final EngineOptions options;
  private final SimulatedCache cache;
  private final Scheduler scheduler;
  private final Inbox inbox;
  private final StepLoop loop;
  private final List<Client> clients = new ArrayList<>();
  private final List<int[]> texts = new ArrayList<>();
  private final HostSampler sampler = new HostSampler();
  private final double failureRate;
  private final int stickyAt;
  private long now = 1_000_000;
  private int numSteps;
  private int numTurns;
  private int failingSequence = -1;
  private boolean calm;
  private boolean broken;
  private int numTokens;

  EngineSimulation(long seed, Bug bug) {
    this.random = new SplittableRandom(seed);
    this.bug = bug;
    int block = 1 + random.nextInt(3);
    int context = 4 + random.nextInt(4 * block + 4);
    int chunk = 1 + random.nextInt(5);
    int sequences = 1 + random.nextInt(4);
    int step = Math.max(chunk, sequences) + random.nextInt(3);
    List<KvGroup> groups = KvGroups.of(specs());
    List<GroupPool> pools = new ArrayList<>();
    for (KvGroup group : groups) {
      GroupPool one = new GroupPool(group.blockSpan(block), group.windowTokens(), 1);
      int most = one.mostBlocks(context, chunk) + 1;
      pools.add(one.withBlocks(most + random.nextInt(1 + most)));
    }
    SchedulingOptions scheduling =
        new SchedulingOptions(
            random.nextInt(4) == 0
                ? SchedulingOptions.Admission.RESERVE
                : SchedulingOptions.Admission.OVERCOMMIT,
            random.nextInt(8) == 0
                ? SchedulingOptions.PrefixCache.OFF
                : SchedulingOptions.PrefixCache.ON,
            1 + random.nextInt(5),
            random.nextInt(2) * 100);
    this.options =
        new EngineOptions(
            context, sequences, chunk, step, step, pools, 30, SimulatedCache.VOCAB, scheduling);
    this.cache = new SimulatedCache(options, groups, block, bug == Bug.COPIES_ARE_DROPPED);
    cache.observe(this);
    int hashBits = random.nextBoolean() ? 4 : Long.SIZE;
    this.scheduler = new BuggyScheduler(options, new KvCache(pools(), seed, hashBits));
    this.inbox = new Inbox(options.maxQueued(), Long.MAX_VALUE);
    EngineAdapters adapters =
        new EngineAdapters(AdapterLimits.NONE, cache, inbox::post, inbox::postLate);
    this.loop = new StepLoop(
            options, cache, inbox, adapters, new EngineTelemetry(), scheduler);
    this.failureRate = random.nextInt(3) * 0.008;
    this.stickyAt = random.nextInt(20) == 0 ? random.nextInt(MIN_STEPS) : -1;
    for (int i = 0; i < 3; i++) {
      texts.add(random.ints(context, 2, SimulatedCache.VOCAB).toArray());
    }
  }

  private List<KvSpec> specs() {
    List<KvSpec> specs = new ArrayList<>();
    specs.add(new KvSpec.Full(0, 1, 1));
    int kind = random.nextInt(3);
    if (kind > 0) {
      specs.add(new KvSpec.SlidingWindow(0, 1, 1 + random.nextInt(6)));
    }
    if (kind > 1) {
      int ratio = 2 + random.nextInt(2);
      specs.add(new KvSpec.CompressorRows(0, KvSpec.Stream.MAIN, 1, 2 * ratio));
      specs.add(new KvSpec.Compressed(0, KvSpec.Stream.MAIN, 1, ratio));
    }
    return specs;
  }

  private List<GroupPool> pools() {
    if (bug != Bug.WINDOW_IS_SHORT) {
      return options.pools();
    }
    List<GroupPool> shorter = new ArrayList<>();
    for (GroupPool pool : options.pools()) {
      int window = pool.windowTokens() > 1 ? pool.windowTokens() - 1 : pool.windowTokens();
      shorter.add(new GroupPool(pool.blockTokens(), window, pool.numBlocks()));
    }
    return shorter;
  }

  int numSteps() {
    return numSteps;
  }

  int numRequests() {
    return clients.size();
  }

  long numPreemptions() {
    return scheduler.numPreemptions();
  }

  long numHitTokens() {
    return scheduler.numHitTokens();
  }

  int numTokens() {
    return numTokens;
  }

  /** Runs the seed; what is wrong is thrown. */
  void run() {
    while (numTurns < MAX_TURNS
        && !broken
        && (clients.size() < MIN_REQUESTS || numSteps < MIN_STEPS)) {
      act();
      turn();
    }
    calm = true;
    clients.forEach(client -> client.ready = true);
    int bound = 20 + 8 * clients.size() * options.contextTokens();
    for (int i = 0; i < bound && !broken && !allEnded(); i++) {
      turn();
    }
    if (!broken) {
      inbox.shut(Inbox.modelClosed());
      loop.endAll();
    }
    checkEnd();
  }

  private boolean allEnded() {
    return clients.stream().allMatch(client -> client.outcome != null);
  }

  private void act() {
    int dice = random.nextInt(100);
    if (dice < 14) {
      submit();
    } else if (dice < 42) {
      cancel();
    } else if (dice < 50) {
      Client client = any();
      if (client != null) {
        client.ready = !client.ready;
        client.gone = !client.ready && random.nextInt(6) == 0;
      }
    } else if (dice < 56) {
      scheduler.preemptLast();
    } else if (dice < 58) {
      scheduler.forgetPrefixes();
    }
    if (random.nextInt(3) == 0) {
      clients.forEach(client -> client.ready |= random.nextInt(3) == 0);
    }
  }

  private @Nullable Client any() {
    List<Client> open = clients.stream().filter(client -> client.outcome == null).toList();
    return open.isEmpty() ? null : open.get(random.nextInt(open.size()));
  }

  private void submit() {
    int context = options.contextTokens();
    int[] text = texts.get(random.nextInt(texts.size()));
    int length = 1 + random.nextInt(context - 1);
    int[] prompt = new int[length];
    int common = random.nextInt(length + 1);
    for (int i = 0; i < length; i++) {
      prompt[i] = i < common ? text[i] : 2 + random.nextInt(SimulatedCache.VOCAB - 2);
    }
    int n = random.nextInt(4) == 0 ? 2 + random.nextInt(3) : 1;
    List<SamplingParams> choices = new ArrayList<>();
    float temperature = random.nextInt(2);
    for (int i = 0; i < n; i++) {
      long seed = CounterRandom.seedOfChoice(random.nextLong(), i);
      choices.add(new SamplingParams(temperature, 0, 1, 0, 1, 0, 0, seed, 0, false, null));
    }
    long timeout =
        random.nextInt(12) == 0 ? random.nextInt(60) * 1000L : RequestControls.NO_TIMEOUT;
    RequestControls controls =
        new RequestControls(timeout, List.of(), List.of(), null)
            .placed(new Placement(random.nextInt(3) - 1, random.nextInt(2), 0));
    EngineRequest spec =
        new EngineRequest(
                prompt,
                1 + random.nextInt(10),
                0,
                choices,
                random.nextInt(3) == 0 ? new int[0] : new int[] {1},
                new int[0],
                List.of(),
                null,
                false)
            .with(controls);
    Client client = new Client(spec, random.nextInt(15) == 0 ? random.nextInt(5) : -1);
    RunningRequest request = new RunningRequest(spec, client, TOKENIZER, null, now);
    try {
      inbox.submit(request, loop.admission(request));
      client.running = request;
      clients.add(client);
    } catch (EngineOverloadedException e) {
      require(inbox.numWaiting() >= options.maxQueued(), "refused only where the queue is full");
    }
  }

  private void cancel() {
    Client client = any();
    if (client != null && client.running != null) {
      client.running.cancel();
      client.cancelled = true;
    }
  }

  private void turn() {
    now += random.nextInt(2000) - (random.nextInt(20) == 0 ? 3000 : 0);
    inbox.nudge();
    numTurns++;
    try {
      loop.turn(() -> now);
    } catch (BackendException e) {
      require(stickyAt >= 0, "only a planned failure may stop the loop: " + e);
      inbox.shut(e);
      loop.endAll();
      broken = true;
    }
    checkTurn();
  }

  private void checkTurn() {
    Throwable violation = cache.violation();
    if (violation != null) {
      throw new AssertionError("a step failed that was not planned to", violation);
    }
    scheduler.checkInvariants();
    int open = 0;
    for (Client client : clients) {
      RunningRequest request = client.running;
      if (request == null || client.settled) {
        continue;
      }
      require(client.violation == null, client.violation);
      require(!client.cancelled || client.outcome != null, "a cancelled request must have ended");
      for (Sequence s : request.sequences) {
        boolean done = s.state == Sequence.State.DONE;
        open += done ? 0 : 1;
        require(!done || s.blocks.numBlocks() == 0, "who has ended must hold no block");
        require(client.outcome == null || done, "the sequences of an ended request must be done");
      }
      client.settled = client.outcome != null;
    }
    int known = scheduler.numRunning() + scheduler.numWaiting();
    require(known == open, "must be queued or running: " + open + " sequences, not " + known);
    require(scheduler.numRunning() <= options.maxSequences(), "too many sequences run");
  }

  private void checkEnd() {
    for (int i = 0; i < clients.size(); i++) {
      Client client = clients.get(i);
      RequestOutcome outcome = client.outcome;
      require(outcome != null, "request " + i + " must end");
      require(client.violation == null, client.violation);
      for (int c = 0; c < outcome.choices().size(); c++) {
        check(client, outcome, c);
      }
    }
    for (int g = 0; g < options.pools().size(); g++) {
      require(scheduler.usedBlocks(g) == 0, "no block may be used at the end");
    }
    require(inbox.numWaiting() == 0, "nothing may wait at the end");
    scheduler.forgetPrefixes();
    scheduler.checkInvariants();
  }

  private void check(Client client, RequestOutcome outcome, int choice) {
    int[] expected = alone(client.spec, choice);
    List<Integer> actual = client.tokens.get(choice);
    EndReason reason = outcome.choices().get(choice).reason();
    boolean early =
        reason == EndReason.CANCELLED || reason == EndReason.DEADLINE || reason == EndReason.ERROR;
    require(actual.size() <= expected.length, "a choice must not be longer than alone");
    require(early || actual.size() == expected.length, "a choice must be as long as alone");
    for (int i = 0; i < actual.size(); i++) {
      require(actual.get(i) == expected[i], "a choice must put out what it does alone");
    }
    numTokens += actual.size();
  }

  /** What a choice puts out without engine, batches and blocks. */
  private int[] alone(EngineRequest request, int choice) {
    long tag = SimulatedCache.root();
    for (int id : request.promptIds()) {
      tag = SimulatedCache.next(tag, id);
    }
    int length = request.promptIds().length;
    int[] out = new int[Math.min(request.maxTokens(), options.contextTokens() - length)];
    float[] logits = new float[SimulatedCache.VOCAB];
    SamplingRows rows = new SamplingRows(1);
    SampledRows sampled = new SampledRows(1, 20);
    for (int i = 0; i < out.length; i++) {
      SimulatedCache.logitsOf(tag, logits);
      rows.clear();
      rows.add(request.choices().get(choice), length + i, null, null);
      sampler.sample(rows, 0, logits, 0, logits.length, sampled);
      out[i] = sampled.token(0);
      if (out[i] == 1 && request.endIds().length > 0) {
        return Arrays.copyOf(out, i + 1);
      }
      tag = SimulatedCache.next(tag, out[i]);
    }
    return out;
  }

  @Override
  public void before(StepBatch batch) {
    numSteps++;
    StepPlan plan = loop.plan();
    require(batch.numTokens() <= options.stepTokens(), "a step must keep to its budget");
    for (int i = 0; i < plan.size(); i++) {
      Sequence s = plan.sequence(i);
      require(s.state == Sequence.State.RUNNING, "who is planned must run");
      for (int j = 0; j < i; j++) {
        require(plan.sequence(j) != s, "a sequence must be planned once");
      }
      for (int t = 0; t < plan.numTokens(i); t++) {
        require(scheduler.mayWrite(s, s.numComputed + t), "a shared block must not be written");
      }
    }
    failingSequence = -1;
    if (calm) {
      return;
    }
    if (numSteps == stickyAt) {
      throw new BackendException(ErrorCode.BACKEND_BROKEN, "Lost", "planned", "restart");
    }
    if (random.nextDouble() < failureRate) {
      failingSequence = random.nextInt(batch.numSequences() + 1) - 1;
      if (failingSequence < 0) {
        throw new OutOfMemoryError("planned: step");
      }
    }
  }

  @Override
  public void computed(int sequence) {
    if (sequence == failingSequence) {
      throw new IllegalStateException("planned: step, half done");
    }
  }

  @Override
  public long tenant(int sequence) {
    return loop.plan().sequence(sequence).request.spec.controls().placement().saltHigh();
  }

  private static void require(boolean holds, @Nullable String rule) {
    if (!holds) {
      throw new AssertionError(rule);
    }
  }

  /** The scheduler with a planted bug. */
  private final class BuggyScheduler extends Scheduler {

    private final KvCache blocks;

    BuggyScheduler(EngineOptions options, KvCache cache) {
      super(options, cache);
      this.blocks = cache;
    }

    @Override
    SequenceBlocks newBlocks(PrefixScope scope) {
      if (!calm && bug == Bug.NONE && random.nextInt(60) == 0) {
        throw new OutOfMemoryError("planned: allocation");
      }
      return super.newBlocks(bug == Bug.TENANTS_SHARE ? PrefixScope.SHARED : scope);
    }

    @Override
    void plan(StepPlan plan, boolean admits) {
      super.plan(plan, admits);
      for (int i = 0; i < plan.size() && bug == Bug.PUBLISHED_BEFORE_THE_STEP; i++) {
        Sequence s = plan.sequence(i);
        blocks.publish(s.blocks, s.tokens(), s.numComputed + plan.numTokens(i));
      }
    }

    @Override
    void giveUp(Sequence victim) {
      int computed = victim.numComputed;
      super.giveUp(victim);
      if (bug == Bug.PREEMPTED_KEEPS_ITS_PLACE) {
        victim.numComputed = computed;
      }
    }

    @Override
    void start(Sequence s, int computed, int found) {
      boolean isWrong = bug == Bug.COUNTS_ONE_TOO_MANY && found > 0 && found < s.numTokens() - 1;
      super.start(s, isWrong ? computed + 1 : computed, found);
    }

    @Override
    void complete(StepPlan plan) {
      super.complete(plan);
      for (int i = 0; i < plan.size() && bug == Bug.PUBLISHED_TOO_FAR; i++) {
        Sequence s = plan.sequence(i);
        int block = options.pools().getFirst().blockTokens();
        int room = s.blocks.table(0).numBlocks() * block;
        blocks.publish(s.blocks, s.tokens(), Math.min(s.numTokens(), room));
      }
    }

    @Override
    boolean waitsForLeader(Sequence s) {
      return bug != Bug.LEADER_IS_NOT_AWAITED && super.waitsForLeader(s);
    }

    @Override
    boolean canFollow(Sequence leader, int common) {
      return bug == Bug.LEADER_IS_NOT_AWAITED
          ? leader.state == Sequence.State.RUNNING && blocks.canShare(leader.blocks, common)
          : super.canFollow(leader, common);
    }

    @Override
    void remove(Sequence s) {
      if (bug == Bug.CANCELLED_KEEPS_ITS_BLOCKS && s.request.isCancelled()) {
        s.state = Sequence.State.DONE;
        return;
      }
      super.remove(s);
    }
  }
}
