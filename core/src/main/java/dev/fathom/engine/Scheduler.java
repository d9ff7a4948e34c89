package dev.fathom.engine;

import dev.fathom.kvcache.BlockTier;
import dev.fathom.kvcache.GroupPool;
import dev.fathom.kvcache.KvCache;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.kvcache.SequenceBlocks;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Decides which sequences compute how many tokens in a step, and owns the KV blocks.
 *
 * <p>There are no phases: each sequence has computed and known tokens, and a step hands out tokens
 * from one budget. First come sequences that lack one token, so that no prompt holds up who is
 * generating (those whose reader is slow sit out); then prompts, at most a chunk each, and less of
 * a long one while others want some too; then waiting sequences. The budget has at least a token
 * for each place, so generating holds up no prompt for ever.
 *
 * <p>Order: sequences are ordered by priority, then by arrival, and none starts before one in
 * front, but for choices that wait for their leader. A sequence starts with the blocks of a prefix
 * that is cached. Where blocks run out, the last of those that run gives up its own (it is
 * preempted): it keeps its tokens, waits at its old place in the order, and computes again what it
 * does not find cached. The first in the order is preempted by nobody and every pool holds a full
 * context, so it runs to its end, whatever the others do.
 *
 * <p>Pure: no clock, thread or random number, and no I/O but that of a second tier. One thread. A
 * steady step allocates nothing. Not final, so that the simulation can plant bugs in it and see
 * that it finds them.
 */
class Scheduler {

  private static final int PERMILLE = 1000;

  private final EngineOptions options;
  private final SchedulingOptions scheduling;
  private final KvCache cache;
  private final int[] watermark;
  private final int[] spared;
  private final List<Sequence> waiting = new ArrayList<>();
  private final List<Sequence> running = new ArrayList<>();
  private final List<Pin> pins = new ArrayList<>();
  private long numAdded;
  private long numPreemptions;
  private long numLookedUp;
  private long numHit;
  private long numRestored;
  private int budget;
  private int draftRoom;
  private boolean preempted;

  /** Blocks of somebody outside the queue, reserved up to a number of positions. */
  private record Pin(SequenceBlocks blocks, int positions) {}

  /** A scheduler over an empty cache; {@code hashSeed} keys the hashes of prefixes. */
  Scheduler(EngineOptions options, long hashSeed) {
    this(options, hashSeed, null);
  }

  /** A scheduler over an empty cache whose blocks go to a second tier, if there is one. */
  Scheduler(EngineOptions options, long hashSeed, @Nullable BlockTier tier) {
    this(options, new KvCache(options.pools(), hashSeed));
    if (tier != null) {
      cache.spillTo(tier);
    }
  }

  Scheduler(EngineOptions options, KvCache cache) {
    this.options = options;
    this.scheduling = options.scheduling();
    this.cache = cache;
    this.watermark = new int[cache.numGroups()];
    this.spared = new int[cache.numGroups()];
    for (int g = 0; g < watermark.length; g++) {
      long blocks = options.pools().get(g).numBlocks();
      watermark[g] = (int) (blocks * scheduling.watermarkPermille() / PERMILLE);
    }
  }

  /** Returns blocks for a new sequence, none yet. */
  SequenceBlocks newBlocks(PrefixScope scope) {
    return cache.newSequence(scope);
  }

  /** Puts a sequence into the queue. */
  void add(Sequence sequence) {
    sequence.order = numAdded++;
    insert(waiting, sequence);
  }

  /**
   * Queues a sequence that begins with all tokens of another, at the place of that one. It shares
   * the other's blocks if that still has them when it starts.
   */
  Sequence fork(Sequence parent) {
    Sequence s = parent.fork(newBlocks(parent.blocks.scope()));
    s.leader = parent;
    insert(waiting, s);
    return s;
  }

  private static void insert(List<Sequence> list, Sequence sequence) {
    int at = list.size();
    while (at > 0 && sequence.isBefore(list.get(at - 1))) {
      at--;
    }
    list.add(at, sequence);
  }

  boolean isIdle() {
    return running.isEmpty() && waiting.isEmpty();
  }

  int numRunning() {
    return running.size();
  }

  int numWaiting() {
    return waiting.size();
  }

  /** Returns the blocks of a group that sequences hold. */
  int usedBlocks(int group) {
    return cache.numUsed(group);
  }

  /** Returns the blocks of a group. */
  int numBlocks(int group) {
    return cache.group(group).numBlocks();
  }

  /** Returns how often a sequence gave up its blocks. */
  long numPreemptions() {
    return numPreemptions;
  }

  /**
   * Returns the tokens of all sequences that started, of which {@link #numHitTokens} were cached.
   */
  long numLookedUpTokens() {
    return numLookedUp;
  }

  /** Returns the tokens that were found cached. */
  long numHitTokens() {
    return numHit;
  }

  /** Returns how many of these came back from the second tier. */
  long numRestoredTokens() {
    return numRestored;
  }

  /** Forgets all prefixes that nobody uses now. */
  void forgetPrefixes() {
    cache.forgetAll();
  }

  /** Fills a plan; an empty one means that nothing can run now. */
  void plan(StepPlan plan, boolean admits) {
    plan.clear();
    budget = options.stepTokens();
    draftRoom = draftRoom();
    preempted = false;
    int prompts = waiting.isEmpty() ? 0 : 1;
    for (int i = 0; i < running.size(); ) {
      Sequence s = running.get(i);
      boolean takes = s.numPending() == 1 && !s.request.isPaused();
      prompts += s.numPending() > 1 && !s.request.isPaused() ? 1 : 0;
      i = takes ? take(s, i, 1, plan) : i + 1;
    }
    int chunk = prompts > 1 ? longPrompt() : options.chunkTokens();
    for (int i = 0; i < running.size() && budget > 0; ) {
      Sequence s = running.get(i);
      boolean takes = s.numPending() > 1 && !s.request.isPaused();
      i = takes ? take(s, i, chunk, plan) : i + 1;
    }
    if (admits && !preempted) {
      admitWaiting(plan, chunk);
      if (plan.size() == 0 && giveUpResting()) {
        admitWaiting(plan, chunk);
      }
    }
  }

  /**
   * Frees what beams hold that wait for others, where nothing else can run: what they wait for may
   * lack just these blocks or places. Returns whether there were any.
   */
  boolean giveUpResting() {
    boolean any = false;
    for (int i = running.size() - 1; i >= 0 && !waiting.isEmpty(); i--) {
      if (running.get(i).resting) {
        giveUp(running.remove(i));
        any = true;
      }
    }
    return any;
  }

  /** Guesses of a step: half of what places do not need, so that prompts go on, and spare rows. */
  private int draftRoom() {
    int places = options.maxSequences();
    return Math.min((options.stepTokens() - places) / 2, options.maxRows() - places);
  }

  private int longPrompt() {
    return Math.min(options.chunkTokens(), scheduling.longPromptTokens());
  }

  /**
   * Plans the next tokens of the i-th running sequence, if need be with the blocks of later ones.
   *
   * @return the index of the one behind it
   */
  private int take(Sequence s, int i, int chunk, StepPlan plan) {
    int tokens = Math.min(Math.min(s.numPending(), chunk), budget);
    if (takeWithDrafts(s, tokens, plan)) {
      return i + 1;
    }
    while (!cache.extend(s.blocks, s.numComputed, s.numComputed + tokens, plan)) {
      Sequence victim = victim(s);
      preempt(victim, plan);
      if (victim == s) {
        return running.size();
      }
    }
    plan.add(s, tokens);
    budget -= tokens;
    return 1 + (i < running.size() && running.get(i) == s ? i : running.indexOf(s));
  }

  /** Who gives up its blocks: one whose reader is slow, else the last. */
  private Sequence victim(Sequence taker) {
    for (int i = running.size() - 1; i >= 0; i--) {
      Sequence s = running.get(i);
      if (s != taker && s.request.isPaused()) {
        return s;
      }
    }
    return running.getLast();
  }

  /**
   * Plans the last known tokens of a sequence with its guesses behind them, and room for those that
   * a draft program makes after the step; false where nothing guesses or no block is free for it.
   */
  private boolean takeWithDrafts(Sequence s, int tokens, StepPlan plan) {
    Drafts drafts = s.drafts;
    if (drafts == null || tokens != s.numPending()) {
      return false;
    }
    int most = Math.min(s.maxPositions - s.numTokens(), options.chunkTokens() - tokens);
    int guesses = Math.clamp(drafts.count(), 0, Math.max(0, Math.min(most, draftRoom)));
    boolean follows = drafts.options.source() == DraftOptions.Source.PROGRAM;
    int ahead = follows ? drafts.options.maxTokens() - 1 : 0;
    int room = Math.min(guesses + ahead, most);
    if (room <= 0 || guesses > budget - tokens) {
      return false;
    }
    int end = s.numComputed + tokens + room;
    if (!cache.extend(s.blocks, s.numComputed, end, plan)) {
      return false;
    }
    s.roomEnd = end;
    plan.add(s, tokens, guesses);
    draftRoom -= guesses;
    budget -= tokens + guesses;
    return true;
  }

  private void preempt(Sequence victim, StepPlan plan) {
    running.remove(victim);
    budget += plan.remove(victim);
    preempted = true;
    giveUp(victim);
  }

  /** Frees the blocks of a sequence that ran and puts it back into the queue. */
  void giveUp(Sequence victim) {
    cache.release(victim.blocks);
    victim.numComputed = 0;
    victim.numPreemptions++;
    if (victim.drafts != null) {
      victim.drafts.clear();
    }
    victim.state = Sequence.State.WAITING;
    insert(waiting, victim);
    numPreemptions++;
  }

  /** Preempts the last running sequence, between steps. */
  void preemptLast() {
    if (!running.isEmpty()) {
      giveUp(running.removeLast());
    }
  }

  /** Returns whether a sequence alone holds a position, and nobody can find it. */
  boolean mayWrite(Sequence s, int position) {
    for (int g = 0; g < cache.numGroups(); g++) {
      if (!cache.isWritable(s.blocks, g, position)) {
        return false;
      }
    }
    return true;
  }

  private void admitWaiting(StepPlan plan, int chunk) {
    int i = 0;
    while (i < waiting.size() && budget > 0) {
      Sequence s = waiting.get(i);
      if (s.resting || waitsForLeader(s) || s.request.isPaused()) {
        i++;
        continue;
      }
      while (running.size() == options.maxSequences() || !admit(s)) {
        if (!giveUpPaused()) {
          return;
        }
      }
      // Where one that gave up stands in front it is another index.
      i = waiting.indexOf(s);
      waiting.remove(i);
      s.state = Sequence.State.RUNNING;
      insert(running, s);
      take(s, 0, chunk, plan);
      if (preempted) {
        return;
      }
    }
  }

  /**
   * Frees place and blocks of the last one whose reader is slow, for somebody who waits for just
   * these; returns whether there was one. It computes again when its reader goes on.
   */
  private boolean giveUpPaused() {
    for (int i = running.size() - 1; i >= 0; i--) {
      if (running.get(i).request.isPaused()) {
        giveUp(running.remove(i));
        return true;
      }
    }
    return false;
  }

  /** A leader counts as long as its first run over the prompt is not through. */
  boolean waitsForLeader(Sequence s) {
    Sequence leader = s.leader;
    return leader != null
        && leader.state != Sequence.State.DONE
        && leader.numComputed < s.numTokens() - 1
        && leader.numPreemptions == 0;
  }

  /** Gives a sequence its first blocks, if it may start. */
  private boolean admit(Sequence s) {
    noteSpared();
    int wanted = isReserving() ? s.maxPositions : s.numTokens();
    Sequence leader = s.leader;
    int common = s.numTokens() - 1;
    if (leader != null && canFollow(leader, common)) {
      if (!cache.fitsShared(common, wanted, options.chunkTokens(), spared)) {
        return false;
      }
      cache.share(leader.blocks, s.blocks, common);
      start(s, common, 0);
      return true;
    }
    int known = scheduling.prefixCache() == SchedulingOptions.PrefixCache.ON ? s.numTokens() : 1;
    int found = cache.match(s.blocks, s.tokens(), known);
    if (!cache.fits(wanted, options.chunkTokens(), spared)) {
      return false;
    }
    cache.attach(s.blocks);
    int cached = cache.restore(s.blocks, s.tokens(), known);
    numRestored += cached - found;
    start(s, cached, cached);
    return true;
  }

  /** Returns whether a leader has computed so many positions and still has what they need. */
  boolean canFollow(Sequence leader, int common) {
    return leader.state == Sequence.State.RUNNING
        && leader.numComputed >= common
        && cache.canShare(leader.blocks, common);
  }

  /** Notes that a sequence starts behind computed positions, some of them found in the cache. */
  void start(Sequence s, int computed, int found) {
    s.numComputed = computed;
    s.leader = null;
    numLookedUp += s.numTokens();
    numHit += found;
    if (s.numCached < 0) {
      s.numCached = found;
    }
  }

  private boolean isReserving() {
    return scheduling.admission() == SchedulingOptions.Admission.RESERVE;
  }

  /** Notes the blocks that a sequence must leave free when it starts. */
  private void noteSpared() {
    for (int g = 0; g < spared.length; g++) {
      spared[g] = running.isEmpty() ? 0 : watermark[g];
      for (int i = 0; i < pins.size(); i++) {
        spared[g] += outstanding(pins.get(i), g);
      }
      for (int i = 0; isReserving() && i < running.size(); i++) {
        Sequence s = running.get(i);
        spared[g] +=
            cache.outstanding(s.blocks, g, s.numComputed, s.maxPositions, options.chunkTokens());
      }
    }
  }

  private int outstanding(Pin pin, int g) {
    return cache.outstanding(pin.blocks(), g, 0, pin.positions(), options.chunkTokens());
  }

  /** Notes that a planned step was computed: its full blocks can be found from now on. */
  void complete(StepPlan plan) {
    for (int i = 0; i < plan.size(); i++) {
      Sequence s = plan.sequence(i);
      s.numComputed += plan.numTokens(i);
      if (scheduling.prefixCache() == SchedulingOptions.PrefixCache.ON) {
        cache.publish(s.blocks, s.tokens(), s.numComputed);
      }
    }
  }

  /** Forgets a sequence and frees its blocks; idempotent. */
  void remove(Sequence s) {
    if (s.state == Sequence.State.WAITING) {
      waiting.remove(s);
    } else if (s.state == Sequence.State.RUNNING) {
      running.remove(s);
      cache.release(s.blocks);
    }
    s.state = Sequence.State.DONE;
    s.leader = null;
  }

  /** Reserves blocks for positions of somebody outside the queue; null where there are too few. */
  @Nullable SequenceBlocks pin(int positions) {
    for (int g = 0; g < spared.length; g++) {
      GroupPool group = cache.group(g);
      long wanted = group.mostBlocks(positions, options.chunkTokens());
      for (int i = 0; i < pins.size(); i++) {
        wanted += outstanding(pins.get(i), g);
      }
      for (int i = 0; isReserving() && i < running.size(); i++) {
        Sequence s = running.get(i);
        wanted +=
            cache.outstanding(s.blocks, g, s.numComputed, s.maxPositions, options.chunkTokens());
      }
      if (wanted > cache.numFree(g)) {
        return null;
      }
    }
    SequenceBlocks blocks = cache.newSequence(PrefixScope.SHARED);
    pins.add(new Pin(blocks, positions));
    return blocks;
  }

  /**
   * Makes room for the next positions of what {@link #pin} gave; false where sequences hold the
   * blocks now.
   */
  boolean extendPinned(SequenceBlocks blocks, int computed, int end) {
    return cache.extend(
        blocks,
        computed,
        end,
        (group, source, destination) -> {
          throw new IllegalStateException("pinned blocks must not be shared: block=" + source);
        });
  }

  /** Frees what {@link #pin} gave; idempotent. */
  void unpin(@Nullable SequenceBlocks blocks) {
    for (int i = pins.size() - 1; i >= 0; i--) {
      if (pins.get(i).blocks() == blocks) {
        cache.release(pins.remove(i).blocks());
      }
    }
  }

  /**
   * Checks that every block is held by just those that know it. For tests and idle times.
   *
   * @throws IllegalStateException if a rule is broken
   */
  void checkInvariants() {
    List<SequenceBlocks> held = new ArrayList<>();
    for (Sequence s : running) {
      held.add(s.blocks);
    }
    for (Pin pin : pins) {
      held.add(pin.blocks());
    }
    cache.checkInvariants(held);
    for (Sequence s : waiting) {
      if (s.blocks.numBlocks() > 0 || s.numComputed > 0) {
        throw new IllegalStateException("must hold no blocks while waiting: order=" + s.order);
      }
    }
  }
}
