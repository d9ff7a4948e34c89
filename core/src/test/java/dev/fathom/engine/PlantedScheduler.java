package dev.fathom.engine;

import dev.fathom.kvcache.KvCache;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.kvcache.SequenceBlocks;

/** The scheduler as it is, or with a planted bug; tells the simulation what it does. */
final class PlantedScheduler extends Scheduler {

  /** Hears of what the scheduler does. */
  interface Watch {
    /** Somebody wants blocks for a sequence; what it throws is a failed allocation. */
    void allocating();

    /** A beam is about to get a sibling. */
    void forking(Sequence parent);

    /** A sequence leaves the queue. */
    void starting(Sequence s);
  }

  private final PlantedBug bug;
  private final int blockTokens;
  private final KvCache blocks;
  private final Watch watch;

  PlantedScheduler(EngineOptions options, KvCache cache, PlantedBug bug, Watch watch) {
    super(options, cache);
    this.bug = bug;
    this.blockTokens = options.pools().getFirst().blockTokens();
    this.blocks = cache;
    this.watch = watch;
  }

  @Override
  SequenceBlocks newBlocks(PrefixScope scope) {
    watch.allocating();
    return super.newBlocks(bug == PlantedBug.TENANTS_SHARE ? PrefixScope.SHARED : scope);
  }

  @Override
  Sequence fork(Sequence parent) {
    watch.forking(parent);
    return super.fork(parent);
  }

  @Override
  void plan(StepPlan plan, boolean admits) {
    super.plan(plan, admits);
    for (int i = 0; i < plan.size() && bug == PlantedBug.PUBLISHED_BEFORE_THE_STEP; i++) {
      Sequence s = plan.sequence(i);
      blocks.publish(s.blocks, s.tokens(), s.numComputed + plan.numTokens(i));
    }
  }

  @Override
  void giveUp(Sequence victim) {
    int computed = victim.numComputed;
    super.giveUp(victim);
    if (bug == PlantedBug.PREEMPTED_KEEPS_ITS_PLACE) {
      victim.numComputed = computed;
    }
  }

  @Override
  void start(Sequence s, int computed, int found) {
    watch.starting(s);
    boolean follows = s.leader != null && found == 0 && computed > 0;
    if (bug == PlantedBug.REFERENCE_IS_SKIPPED && (follows || found > 0)) {
      dropReference(s);
    }
    boolean isWrong =
        bug == PlantedBug.COUNTS_ONE_TOO_MANY && found > 0 && found < s.numTokens() - 1;
    super.start(s, isWrong ? computed + 1 : computed, found);
  }

  private void dropReference(Sequence s) {
    SequenceBlocks ghost = blocks.newSequence(PrefixScope.SHARED);
    ghost.table(0).append(s.blocks.table(0).blockAt(0));
    blocks.release(ghost);
  }

  @Override
  boolean giveUpResting() {
    return bug != PlantedBug.BEAMS_KEEP_THEIR_BLOCKS && super.giveUpResting();
  }

  @Override
  void complete(StepPlan plan) {
    super.complete(plan);
    for (int i = 0; i < plan.size() && bug == PlantedBug.PUBLISHED_TOO_FAR; i++) {
      Sequence s = plan.sequence(i);
      int room = s.blocks.table(0).numBlocks() * blockTokens;
      blocks.publish(s.blocks, s.tokens(), Math.min(s.numTokens(), room));
    }
  }

  @Override
  boolean waitsForLeader(Sequence s) {
    return bug != PlantedBug.LEADER_IS_NOT_AWAITED && super.waitsForLeader(s);
  }

  @Override
  boolean canFollow(Sequence leader, int common) {
    return bug == PlantedBug.LEADER_IS_NOT_AWAITED
        ? leader.state == Sequence.State.RUNNING && blocks.canShare(leader.blocks, common)
        : super.canFollow(leader, common);
  }

  @Override
  void add(Sequence sequence) {
    super.add(sequence);
    if (bug == PlantedBug.QUEUE_IS_JUMPED && sequence.order % 5 == 4) {
      sequence.order += 5;
    }
  }

  @Override
  void remove(Sequence s) {
    if (bug == PlantedBug.CANCELLED_KEEPS_ITS_BLOCKS && s.request.isCancelled()) {
      s.state = Sequence.State.DONE;
      return;
    }
    super.remove(s);
  }
}
