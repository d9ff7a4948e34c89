package dev.fathom.engine;

import dev.fathom.kvcache.BlockPool;
import dev.fathom.kvcache.BlockTable;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;

/**
 * Decides which sequences compute how many tokens in a step, and owns the KV blocks.
 *
 * <p>There are no phases: each sequence has computed and known tokens, and a step hands out tokens
 * from one budget, first to sequences that lack one token (those whose reader is slow sit out),
 * then to prompts in the order of their arrival, at most a chunk each; then waiting sequences are
 * admitted in order, none passing the one in front. A sequence is admitted only if the free blocks,
 * less what running sequences may still take, hold all it can ever need: so no step runs out of
 * blocks and nothing is preempted.
 *
 * <p>Pure: no clock, thread, random number or I/O. One thread.
 */
final class Scheduler {

  private final EngineOptions options;
  private final BlockPool[] pools;
  private final Deque<Sequence> waiting = new ArrayDeque<>();
  private final List<Sequence> running = new ArrayList<>();
  private final List<BlockTable[]> pinned = new ArrayList<>();

  Scheduler(EngineOptions options, int numGroups) {
    this.options = options;
    this.pools = new BlockPool[numGroups];
    Arrays.setAll(pools, g -> new BlockPool(options.numBlocks()));
  }

  /** Puts a sequence at the end of the queue. */
  void add(Sequence sequence) {
    waiting.addLast(sequence);
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

  /** Returns the used blocks of a group. */
  int usedBlocks(int group) {
    return pools[group].numBlocks() - pools[group].numFree();
  }

  /** Fills a plan; an empty one means that nothing can run now. */
  void plan(StepPlan plan, boolean admits) {
    plan.clear();
    int budget = options.stepTokens();
    for (Sequence s : running) {
      if (s.numPending() == 1 && !s.request.isPaused()) {
        budget -= take(s, plan, budget);
      }
    }
    for (Sequence s : running) {
      if (s.numPending() > 1 && budget > 0 && !s.request.isPaused()) {
        budget -= take(s, plan, budget);
      }
    }
    while (admits && budget > 0 && !waiting.isEmpty() && admit(waiting.getFirst(), plan)) {
      Sequence s = waiting.removeFirst();
      s.state = Sequence.State.RUNNING;
      running.add(s);
      budget -= take(s, plan, budget);
    }
  }

  private int take(Sequence s, StepPlan plan, int budget) {
    int tokens = Math.min(Math.min(s.numPending(), options.chunkTokens()), budget);
    for (int g = 0; g < pools.length; g++) {
      if (!s.tables[g].ensureCapacity(s.numComputed + tokens, pools[g])) {
        throw new IllegalStateException("reserved blocks must be free: group=" + g);
      }
    }
    plan.add(s, tokens);
    return tokens;
  }

  /** Gives a sequence its tables, if it can run to its end. */
  private boolean admit(Sequence s, StepPlan plan) {
    if (running.size() == options.maxSequences()) {
      return false;
    }
    Sequence lender = s.lender;
    int held = lender == null ? 0 : heldAfterBorrowing(lender);
    if (!canReserve(blocks(s.maxPositions) - held)) {
      return false;
    }
    if (lender == null) {
      Arrays.setAll(s.tables, g -> new BlockTable(options.blockTokens()));
    } else {
      borrow(s, lender, plan);
    }
    return true;
  }

  private int blocks(int positions) {
    return Math.ceilDiv(positions, options.blockTokens());
  }

  /** Returns how many blocks of a lender need no new block when one borrows. */
  private int heldAfterBorrowing(Sequence lender) {
    int tokens = lender.numTokens();
    return lender.borrowers.size() == 1 ? blocks(tokens) : tokens / options.blockTokens();
  }

  private boolean canReserve(int wanted) {
    for (int g = 0; g < pools.length; g++) {
      long outstanding = 0;
      for (Sequence s : running) {
        outstanding += blocks(s.maxPositions) - s.tables[g].numBlocks();
      }
      if (pools[g].numFree() - outstanding < wanted) {
        return false;
      }
    }
    return true;
  }

  /** Forks the lender's tables; the last borrower takes them over. */
  private void borrow(Sequence s, Sequence lender, StepPlan plan) {
    boolean last = lender.borrowers.size() == 1;
    for (int g = 0; g < pools.length; g++) {
      if (last) {
        s.tables[g] = lender.tables[g];
        continue;
      }
      BlockTable.Fork fork = lender.tables[g].fork(lender.numTokens(), pools[g]);
      if (fork == null) {
        throw new IllegalStateException("reserved blocks must be free: group=" + g);
      }
      s.tables[g] = fork.table();
      if (fork.copy() != null) {
        plan.addCopy(g, fork.copy());
      }
    }
    s.numComputed = lender.numTokens();
    s.lender = null;
    lender.borrowers.remove(s);
    if (last) {
      lender.state = Sequence.State.DONE;
    }
  }

  /** Notes that a planned step was computed. */
  void complete(StepPlan plan) {
    for (int i = 0; i < plan.size(); i++) {
      Sequence s = plan.sequence(i);
      s.numComputed += plan.numTokens(i);
      if (s.isPrefix && s.numPending() == 0) {
        lend(s);
      }
    }
  }

  private void lend(Sequence prefix) {
    running.remove(prefix);
    prefix.state = Sequence.State.LENDING;
    for (int i = prefix.borrowers.size() - 1; i >= 0; i--) {
      waiting.addFirst(prefix.borrowers.get(i));
    }
  }

  /** Forgets a sequence and frees its blocks; idempotent. A prefix takes its borrowers along. */
  void remove(Sequence s) {
    Sequence.State state = s.state;
    s.state = Sequence.State.DONE;
    switch (state) {
      case WAITING -> removeWaiting(s);
      case RUNNING -> {
        running.remove(s);
        release(s.tables);
      }
      case LENDING -> release(s.tables);
      case DONE -> {}
    }
    if (s.isPrefix && state != Sequence.State.DONE) {
      for (Sequence borrower : List.copyOf(s.borrowers)) {
        borrower.lender = null;
        remove(borrower);
      }
      s.borrowers.clear();
    }
  }

  private void removeWaiting(Sequence s) {
    waiting.remove(s);
    Sequence lender = s.lender;
    if (lender != null) {
      lender.borrowers.remove(s);
      if (lender.borrowers.isEmpty()) {
        remove(lender);
      }
    }
  }

  private void release(BlockTable[] tables) {
    for (int g = 0; g < pools.length; g++) {
      tables[g].releaseAll(pools[g]);
    }
  }

  /** Gives blocks to a sequence outside the queue; all or nothing. */
  boolean pin(BlockTable[] tables, int positions) {
    if (!canReserve(blocks(positions))) {
      return false;
    }
    for (int g = 0; g < pools.length; g++) {
      tables[g] = new BlockTable(options.blockTokens());
      if (!tables[g].ensureCapacity(positions, pools[g])) {
        throw new IllegalStateException("reserved blocks must be free: group=" + g);
      }
    }
    pinned.add(tables);
    return true;
  }

  /** Frees what {@link #pin} gave; idempotent. */
  void unpin(BlockTable[] tables) {
    if (pinned.remove(tables)) {
      release(tables);
    }
  }

  /**
   * Checks that every block is held by just the tables that know it. For tests and idle times.
   *
   * @throws IllegalStateException if a rule is broken
   */
  void checkInvariants(List<Sequence> lending) {
    for (int g = 0; g < pools.length; g++) {
      List<BlockTable> tables = new ArrayList<>();
      for (Sequence s : running) {
        tables.add(s.tables[g]);
      }
      for (Sequence s : lending) {
        tables.add(s.tables[g]);
      }
      for (BlockTable[] pin : pinned) {
        tables.add(pin[g]);
      }
      pools[g].checkInvariants(tables);
    }
  }
}
