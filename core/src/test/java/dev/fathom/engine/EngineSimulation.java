package dev.fathom.engine;

import dev.fathom.backend.SamplingParams;
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
import dev.fathom.spill.BlockSpill;
import dev.fathom.spill.SpillOptions;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * The engine's loop on the calling thread, with a clock of its own, over a {@link SimulatedCache}:
 * everything that happens follows from a seed.
 *
 * <p>Clients submit, cancel, read slowly, hang up, throw and are late; steps fail, at once or half
 * done, for want of memory, or for good; the n-th allocation fails, alone or with those behind it.
 * Blocks have 1 to 3 tokens, pools about as many blocks as one sequence needs, hashes 4 bits;
 * sequences are preempted and prefixes forgotten at random, and a second tier keeps some blocks and
 * loses others.
 *
 * <p>The invariants I1 to I15, each checked after every turn but where it says otherwise:
 *
 * <pre>
 *  I1  free and referenced blocks are all blocks and no block is both      Scheduler.checkInvariants
 *  I2  a block has as many references as tables that hold it                         the same
 *  I3  nothing is freed twice, nothing used after it was freed      BlockPool; tags of SimulatedCache
 *  I4  a shared or findable block is not written                             before(), each position
 *  I5  a table has just the blocks of its tokens                          Scheduler.checkInvariants
 *  I6  the slots written in a step are distinct, and none is read        SimulatedCache, each write
 *  I7  a step keeps to its tokens, rows and sequences                                     before()
 *  I8  a findable block holds its prefix, whole                            audit(), now and then
 *  I9  one end for each request, nothing after it, tokens numbered 0, 1, 2        SimulatedClient
 *  I10 nobody starts before one in front; in calm all end in a bounded time   starting(), drain()
 *  I11 who was cancelled has ended and holds no block                                  checkTurn()
 *  I12 when all is quiet nothing is held                                               checkEnd()
 *  I13 tokens and log-probabilities are what they are alone                       SimulatedClient
 *  I14 what can never fit is refused: pools hold a context        EngineOptions, see the test of it
 *  I15 metrics are the state                                     checkTurn(), checkMetrics() at the end
 * </pre>
 */
final class EngineSimulation implements SimulatedCache.Observer, PlantedScheduler.Watch {

  static final int MIN_REQUESTS = 20;
  static final int MIN_STEPS = 200;
  private static final int MAX_TURNS = 4000;
  private static final int END_ID = 1;

  private static final Tokenizer TOKENIZER =
      Tokenizer.load(Path.of("..", "examples", "models", "sample", "tokenizer.json"));

  private final SplittableRandom random;
  private final PlantedBug bug;
  private final EngineOptions options;
  private final SimulatedCache executable;
  private final KvCache cache;
  private final @Nullable BlockSpill spill;
  private final Scheduler scheduler;
  private final Inbox inbox;
  private final EngineTelemetry telemetry = new EngineTelemetry();
  private final StepLoop loop;
  private final SimulatedClient.Oracle oracle = new SimulatedClient.Oracle();
  private final List<SimulatedClient> clients = new ArrayList<>();
  private final List<SimulatedClient> open = new ArrayList<>();
  private final List<int[]> texts = new ArrayList<>();
  private final double failureRate;
  private final int stickyAt;
  private final int allocationFailsAt;
  private final int allocationsFailing;
  private long now = 1_000_000;
  private int numSteps;
  private int numTurns;
  private int numAllocations;
  private int failingSequence = -1;
  private int numFailedSteps;
  private boolean calm;
  private boolean broken;
  private @Nullable SimulatedClient admitting;
  private @Nullable String violation;

  EngineSimulation(long seed, PlantedBug bug) {
    this.random = new SplittableRandom(seed);
    this.bug = bug;
    int block = 1 + random.nextInt(3);
    List<KvGroup> groups = KvGroups.of(specs());
    this.options = options(groups, block);
    this.executable =
        new SimulatedCache(options, groups, block, bug == PlantedBug.COPIES_ARE_DROPPED);
    executable.observe(this);
    int hashBits = random.nextBoolean() ? 4 : Long.SIZE;
    this.cache = new KvCache(pools(), seed, hashBits);
    this.spill = spill();
    telemetry.spillsTo(spill);
    this.scheduler = new PlantedScheduler(options, cache, bug, this);
    this.inbox = new Inbox(options.maxQueued(), 20L * options.contextTokens());
    EngineAdapters adapters =
        new EngineAdapters(AdapterLimits.NONE, executable, inbox::post, inbox::postLate);
    this.loop = new StepLoop(options, executable, inbox, adapters, telemetry, scheduler);
    this.failureRate = random.nextInt(3) * 0.008;
    this.stickyAt = random.nextInt(20) == 0 ? random.nextInt(MIN_STEPS) : -1;
    this.allocationFailsAt = random.nextInt(3) == 0 ? random.nextInt(60) : -1;
    this.allocationsFailing = random.nextInt(3) == 0 ? 20 : 1;
    for (int i = 0; i < 3; i++) {
      texts.add(random.ints(options.contextTokens(), 2, SimulatedCache.VOCAB).toArray());
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

  private EngineOptions options(List<KvGroup> groups, int block) {
    int context = 4 + random.nextInt(4 * block + 4);
    int chunk = 1 + random.nextInt(5);
    int sequences = 1 + random.nextInt(4);
    int step = Math.max(chunk, sequences) + random.nextInt(6);
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
    return new EngineOptions(
        context, sequences, chunk, step, step, pools, 12, SimulatedCache.VOCAB, scheduling);
  }

  /** Host memory for a part of the pools' blocks or a few times as many; or none. */
  private @Nullable BlockSpill spill() {
    int tenths = 3 * random.nextInt(10);
    if (tenths == 0) {
      return null;
    }
    long bytes = 0;
    int fewest = Integer.MAX_VALUE;
    for (int g = 0; g < options.pools().size(); g++) {
      int blocks = options.pools().get(g).numBlocks();
      bytes += executable.blockBytes(g) * blocks;
      fewest = Math.min(fewest, blocks);
    }
    long host = Math.max(bytes * tenths / 10, Math.ceilDiv(bytes, fewest));
    BlockSpill made =
        new BlockSpill(executable, options.pools(), new SpillOptions(host, null, 0, ""));
    cache.spillTo(new PlantedTier(made, bug, () -> !calm && random.nextInt(20) == 0));
    return made;
  }

  private List<GroupPool> pools() {
    if (bug != PlantedBug.WINDOW_IS_SHORT) {
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

  long numRestoredTokens() {
    return scheduler.numRestoredTokens();
  }

  int numTokens() {
    return clients.stream().mapToInt(SimulatedClient::numTokens).sum();
  }

  long numHeldGuesses() {
    return telemetry.metrics().snapshot().get(MetricsRecorder.Counter.ACCEPTED_TOKENS);
  }

  /** Returns whether a broken backend ended it early. */
  boolean isBroken() {
    return broken;
  }

  /** Returns what all clients read and how they ended, as one number. */
  long digest() {
    long digest = numTurns;
    for (SimulatedClient client : clients) {
      digest = SimulatedCache.next(digest ^ client.digest, client.numTokens());
      for (ChoiceOutcome choice : outcome(client).choices()) {
        digest = SimulatedCache.next(digest, choice.reason().ordinal());
      }
    }
    return digest;
  }

  private static RequestOutcome outcome(SimulatedClient client) {
    if (client.outcome == null) {
      throw new AssertionError("must end: request=" + client.arrival);
    }
    return client.outcome;
  }

  /** Runs the seed; what is wrong is thrown. */
  void run() {
    while (numTurns < MAX_TURNS
        && !broken
        && (clients.size() < MIN_REQUESTS || numSteps < MIN_STEPS)) {
      act();
      turn();
    }
    if (!broken && random.nextInt(4) > 0) {
      drain();
    }
    if (!broken) {
      open.forEach(client -> client.mayFail = true);
      inbox.shut(Inbox.modelClosed());
      loop.endAll();
    }
    checkEnd();
  }

  /** Lets everything come to its end, with nobody disturbing. */
  private void drain() {
    calm = true;
    int bound = 5;
    for (SimulatedClient client : open) {
      client.ready = true;
      // A search may have to compute each of its beams again for each of its tokens.
      int runs = client.spec.controls().beams() == null ? 1 : client.spec.maxTokens();
      bound += runs * client.spec.choices().size() * (options.contextTokens() + 2);
    }
    for (int i = 0; i < bound && !broken && !open.isEmpty(); i++) {
      turn();
    }
    require(broken || open.isEmpty(), "all must end within turns: " + bound);
  }

  private void act() {
    int dice = random.nextInt(100);
    if (dice < 22) {
      submit();
    } else if (dice < 30) {
      cancel();
    } else if (dice < 38) {
      SimulatedClient client = any();
      if (client != null) {
        client.ready = !client.ready;
        client.gone = !client.ready && random.nextInt(6) == 0;
      }
    } else if (dice < 44) {
      scheduler.preemptLast();
    } else if (dice < 46) {
      scheduler.forgetPrefixes();
    } else if (dice < 52) {
      audit();
    }
    if (random.nextInt(3) == 0) {
      for (SimulatedClient client : open) {
        client.ready |= random.nextInt(3) == 0;
      }
    }
  }

  private @Nullable SimulatedClient any() {
    return open.isEmpty() ? null : open.get(random.nextInt(open.size()));
  }

  private void submit() {
    SimulatedClient client =
        new SimulatedClient(
            request(),
            clients.size(),
            options.contextTokens(),
            random.nextInt(15) == 0 ? random.nextInt(5) : -1,
            bug,
            oracle);
    RunningRequest request = new RunningRequest(client.spec, client, TOKENIZER, null, now);
    client.running = request;
    Runnable admission = loop.admission(request);
    try {
      inbox.submit(
          request,
          () -> {
            admitting = client;
            admission.run();
          });
      clients.add(client);
      open.add(client);
    } catch (EngineOverloadedException e) {
      require(inbox.numWaiting() > 0, "an empty queue must take any request");
    }
  }

  private EngineRequest request() {
    int context = options.contextTokens();
    int[] text = texts.get(random.nextInt(texts.size()));
    int length = 1 + random.nextInt(context - 1);
    int[] prompt = new int[length];
    int common = random.nextInt(length + 1);
    for (int i = 0; i < length; i++) {
      prompt[i] = i < common ? text[i] : 2 + random.nextInt(SimulatedCache.VOCAB - 2);
    }
    int n = random.nextInt(4) == 0 ? 2 + random.nextInt(3) : 1;
    boolean searches = random.nextInt(10) == 0;
    BeamOptions beams = searches ? new BeamOptions(n, random.nextInt(3) - 0.5, 0) : null;
    List<SamplingParams> choices = new ArrayList<>();
    float temperature = random.nextInt(2);
    for (int i = 0; i < n; i++) {
      long seed = CounterRandom.seedOfChoice(random.nextLong(), i);
      int top = searches ? n + 1 : 0;
      choices.add(new SamplingParams(temperature, 0, 1, 0, 1, 0, 0, seed, top, false, null));
    }
    int[] endIds = random.nextInt(3) == 0 ? new int[0] : new int[] {END_ID};
    return new EngineRequest(
            prompt, 1 + random.nextInt(10), 0, choices, endIds, new int[0], List.of(), null, false)
        .with(searches ? controls().drafting(DraftOptions.NONE).searching(beams) : controls());
  }

  private RequestControls controls() {
    long timeout =
        random.nextInt(12) == 0 ? random.nextInt(60) * 1000L : RequestControls.NO_TIMEOUT;
    RequestControls controls =
        new RequestControls(timeout, List.of(), List.of(), null)
            .placed(new Placement(random.nextInt(3) - 1, random.nextInt(2), 0));
    return random.nextInt(3) == 0
        ? controls.drafting(
            new DraftOptions(DraftOptions.Source.NGRAM, 1 + random.nextInt(3), 1, 2))
        : controls;
  }

  private void cancel() {
    SimulatedClient client = any();
    if (client == null || client.running == null) {
      return;
    }
    client.cancelled = true;
    if (bug != PlantedBug.CANCEL_IS_LOST || client.running.hasStarted()) {
      client.running.cancel();
    }
  }

  /** I8: takes what can be found of a request's tokens, for one tenant, and looks at it. */
  private void audit() {
    if (clients.isEmpty()) {
      return;
    }
    SimulatedClient client = clients.get(random.nextInt(clients.size()));
    long tenant = random.nextInt(2);
    int[] tokens = client.spec.promptIds();
    SequenceBlocks blocks = cache.newSequence(new PrefixScope(tenant, 0, 0));
    if (bug == PlantedBug.TENANTS_SHARE) {
      blocks = cache.newSequence(PrefixScope.SHARED);
    }
    cache.match(blocks, tokens, tokens.length);
    cache.attach(blocks);
    int found = cache.restore(blocks, tokens, tokens.length);
    executable.verify(blocks, tenant, tokens, found);
    cache.release(blocks);
  }

  private void turn() {
    now += random.nextInt(2000) - (random.nextInt(20) == 0 ? 3000 : 0);
    inbox.nudge();
    numTurns++;
    try {
      loop.turn(() -> now);
    } catch (BackendException e) {
      require(numSteps == stickyAt, "only a planned failure may stop the loop: " + e);
      open.forEach(client -> client.mayFail = true);
      inbox.shut(e);
      loop.endAll();
      broken = true;
    }
    checkTurn();
  }

  private void checkTurn() {
    Throwable unplanned = executable.violation();
    if (unplanned != null) {
      throw new AssertionError("a step failed that was not planned to", unplanned);
    }
    require(violation == null, violation);
    scheduler.checkInvariants();
    int queued = 0;
    for (int i = open.size() - 1; i >= 0; i--) {
      SimulatedClient client = open.get(i);
      queued += check(client);
      if (client.outcome != null) {
        open.remove(i);
      }
    }
    int known = scheduler.numRunning() + scheduler.numWaiting();
    require(known == queued, "the sequences of open requests must be queued or running");
    require(scheduler.numRunning() <= options.maxSequences(), "too many sequences run");
    int used = 0;
    for (int g = 0; g < options.pools().size(); g++) {
      used += scheduler.usedBlocks(g);
    }
    require(loop.usedBlocks() == used, "the blocks in use must be told");
  }

  /** Returns how many sequences of a client must be queued or running. */
  private int check(SimulatedClient client) {
    RunningRequest request = client.running;
    require(client.violation() == null, client.violation());
    require(!client.cancelled || client.outcome != null, "a cancelled request must have ended");
    int queued = 0;
    for (int i = 0; request != null && i < request.sequences.size(); i++) {
      Sequence s = request.sequences.get(i);
      boolean done = s.state == Sequence.State.DONE;
      queued += done ? 0 : 1;
      require(!s.resting || client.spec.controls().beams() != null, "only beams rest");
      require(!done || s.blocks.numBlocks() == 0, "who has ended must hold no block");
      require(client.outcome == null || done, "the sequences of an ended request must be done");
      require(s.numComputed <= s.numTokens(), "no more than known tokens may be computed");
    }
    return queued;
  }

  private void checkEnd() {
    for (SimulatedClient client : clients) {
      RunningRequest request = client.running;
      boolean late = request != null && request.hasDeadline();
      client.checkEnd(late && now + 3000 >= request.deadlineNanos());
    }
    for (int g = 0; g < options.pools().size(); g++) {
      require(scheduler.usedBlocks(g) == 0, "no block may be used at the end");
    }
    require(scheduler.isIdle(), "nothing may be queued at the end");
    require(inbox.numWaiting() == 0, "nothing may wait at the end");
    checkMetrics();
    if (spill != null) {
      spill.close();
    }
    scheduler.forgetPrefixes();
    scheduler.checkInvariants();
  }

  /** I15. */
  private void checkMetrics() {
    MetricsRecorder.Snapshot metrics = telemetry.metrics().snapshot();
    long ends = 0;
    for (EndReason reason : EndReason.values()) {
      ends += metrics.ends(reason);
    }
    int choices = clients.stream().mapToInt(client -> client.spec.choices().size()).sum();
    require(ends == choices, "each choice must be counted: " + ends + " of " + choices);
    requireCounted(metrics, MetricsRecorder.Counter.GENERATION_TOKENS, numTokens());
    requireCounted(metrics, MetricsRecorder.Counter.STEPS, executable.numComputed());
    requireCounted(metrics, MetricsRecorder.Counter.FAILED_STEPS, numFailedSteps);
    require(metrics.get(MetricsRecorder.Gauge.USED_BLOCKS) == 0, "no block is in use at the end");
    require(metrics.get(MetricsRecorder.Gauge.RUNNING) == 0, "no sequence runs at the end");
  }

  private static void requireCounted(
      MetricsRecorder.Snapshot metrics, MetricsRecorder.Counter counter, long expected) {
    long counted = metrics.get(counter);
    require(counted == expected, counter + " must be " + expected + ": " + counted);
  }

  @Override
  public void before(StepBatch batch) {
    numSteps++;
    StepPlan plan = loop.plan();
    require(batch.numTokens() <= options.stepTokens(), "a step must keep to its tokens");
    require(batch.numRows() <= options.maxRows(), "a step must keep to its rows");
    for (int i = 0; i < plan.size(); i++) {
      Sequence s = plan.sequence(i);
      require(s.state == Sequence.State.RUNNING, "who is planned must run");
      require(!s.request.hasEnded(), "who has ended must not be planned");
      int end = s.numComputed + plan.numTokens(i) + plan.numDrafts(i);
      for (int position = s.numComputed; position < end; position++) {
        require(scheduler.mayWrite(s, position), "a shared block must not be written");
      }
      for (int j = 0; j < i; j++) {
        require(plan.sequence(j) != s, "a sequence must be planned once");
      }
    }
    failingSequence = -1;
    if (!calm && numSteps == stickyAt) {
      numFailedSteps++;
      throw new BackendException(ErrorCode.BACKEND_BROKEN, "Lost", "planned", "restart");
    }
    if (!calm && random.nextDouble() < failureRate) {
      numFailedSteps++;
      for (int i = 0; i < plan.size(); i++) {
        ((SimulatedClient) plan.sequence(i).request.listener).mayFail = true;
      }
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
  public Sequence sequence(int i) {
    return loop.plan().sequence(i);
  }

  @Override
  public void allocating() {
    int n = numAllocations++;
    boolean fails = n >= allocationFailsAt && n < allocationFailsAt + allocationsFailing;
    if (!calm && allocationFailsAt >= 0 && fails && admitting != null) {
      admitting.mayFail = true;
      throw new OutOfMemoryError("planned: allocation");
    }
  }

  @Override
  public void forking(Sequence parent) {
    admitting = (SimulatedClient) parent.request.listener;
  }

  @Override
  public void starting(Sequence s) {
    SimulatedClient client = (SimulatedClient) s.request.listener;
    for (SimulatedClient other : open) {
      RunningRequest request = other.running;
      if (other == client || request == null || request.isPaused() || !other.isBefore(client)) {
        continue;
      }
      for (Sequence waiting : request.sequences) {
        boolean waits =
            waiting.state == Sequence.State.WAITING
                && !waiting.resting
                && !scheduler.waitsForLeader(waiting);
        if (waits && violation == null) {
          violation = "nobody may start before one in front: request=" + client.arrival;
        }
      }
    }
  }

  private static void require(boolean holds, @Nullable String rule) {
    if (!holds) {
      throw new AssertionError(rule);
    }
  }
}
