package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import java.util.Arrays;

/**
 * Computes what follows a {@link Configuration}: reads a byte or a control token, then follows
 * silent moves, returns and calls until only states that read are left.
 *
 * <p>Returns are followed before calls. A rule that may be empty is stepped over by its caller
 * ({@link NetworkAnalysis}), so that a frame made here is never returned to here; and calls happen
 * in the order of ranks, so that all callers of a rule are known when its frame is made.
 *
 * <p>Holds scratch memory; for one thread at a time.
 */
final class Stepper {

  /** Most states that may be possible at once; reached by very ambiguous grammars only. */
  static final int MAX_STATES = 8192;

  private final RuleNetwork net;
  private final int maxDepth;

  private int[] states = new int[64];
  private int[] counts = new int[64];
  private Frame[] frames = new Frame[64];

  /** Whether the entry is listed: it reads something. */
  private boolean[] reads = new boolean[64];

  private int size;
  private int depth;
  private boolean ends;

  /** Open addressing over entries, indexes plus one; cleared through {@link #used}. */
  private int[] table = new int[256];

  private int[] used = new int[64];
  private int numUsed;

  /** Called rules whose frames are not made yet, and for each entry's call the next. */
  private final int[] firstCaller;

  private int[] pendingRules = new int[16];
  private int numPending;
  private int[] callState = new int[32];
  private int[] callCount = new int[32];
  private Frame[] callFrame = new Frame[32];
  private int[] callNext = new int[32];
  private int numCalls;

  /**
   * Creates a stepper.
   *
   * @param maxDepth most rules that may be open at once
   */
  Stepper(RuleNetwork net, int maxDepth) {
    this.net = net;
    this.maxDepth = maxDepth;
    this.firstCaller = new int[net.start.length];
    Arrays.fill(firstCaller, RuleNetwork.NONE);
  }

  /** Returns where the grammar starts. */
  Configuration start() {
    clear();
    add(net.start[0], 0, Frame.BOTTOM);
    return close();
  }

  /** Returns what follows where a rule with this frame has ended. */
  Configuration returned(Frame ended) {
    clear();
    finish(ended);
    return close();
  }

  /** Returns what follows a byte. */
  Configuration read(Configuration from, int value) {
    return read(from, RuleNetwork.BYTES, value);
  }

  /** Returns what follows a control token. */
  Configuration readControl(Configuration from, int tokenId) {
    return read(from, RuleNetwork.CONTROL, tokenId);
  }

  private Configuration read(Configuration from, byte kind, int value) {
    clear();
    for (int i = 0; i < from.states.length; i++) {
      for (int e = net.firstEdge[from.states[i]]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
        boolean matches =
            net.kind[e] == kind
                && value >= net.lo[e]
                && value <= (kind == RuleNetwork.BYTES ? net.hi[e] : net.lo[e]);
        if (matches) {
          add(net.to[e], from.counts[i], from.frames[i]);
        }
      }
    }
    return close();
  }

  private void clear() {
    for (int i = 0; i < numUsed; i++) {
      table[used[i]] = 0;
    }
    numUsed = 0;
    size = 0;
    depth = 0;
    ends = false;
    numCalls = 0;
    numPending = 0;
  }

  private Configuration close() {
    int next = follow(0, true);
    while (numPending > 0) {
      call(takeFirstPending());
      next = follow(next, false);
    }
    return listed();
  }

  /** Follows silent moves, and returns if asked to; notes calls. */
  private int follow(int from, boolean returns) {
    int i = from;
    while (i < size) {
      expand(i, returns);
      i++;
    }
    return i;
  }

  private void expand(int entry, boolean returns) {
    int state = states[entry];
    int count = counts[entry];
    Frame frame = frames[entry];
    if (returns && net.isFinal[state]) {
      finish(frame);
    }
    int rule = net.ruleOf[state];
    for (int e = net.firstEdge[state]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
      int target = net.to[e];
      switch (net.kind[e]) {
        case RuleNetwork.MOVE -> add(target, count, frame);
        case RuleNetwork.INC -> add(target, raised(count, rule), frame);
        case RuleNetwork.IF_MORE -> {
          if (net.maxCount[rule] < 0 || count < net.maxCount[rule]) {
            add(target, count, frame);
          }
        }
        case RuleNetwork.IF_ENOUGH -> {
          if (count >= net.minCount[rule]) {
            add(target, count, frame);
          }
        }
        case RuleNetwork.CALL -> noteCall(net.lo[e], target, count, frame);
        default -> reads[entry] = true;
      }
    }
  }

  /** Without an upper bound a counter stays where the lower one is reached. */
  private int raised(int count, int rule) {
    boolean saturated = net.maxCount[rule] < 0 && count >= net.minCount[rule];
    return saturated ? count : count + 1;
  }

  private void finish(Frame frame) {
    if (frame == Frame.BOTTOM) {
      ends = true;
      return;
    }
    for (int c = 0; c < frame.numCallers(); c++) {
      add(frame.state(c), frame.count(c), frame.parent(c));
    }
  }

  private void noteCall(int callee, int returnTo, int count, Frame frame) {
    if (net.onlyEnds(returnTo)) {
      // A call that is the last thing a rule does returns to where that rule returns.
      add(net.start[callee], 0, frame);
      return;
    }
    if (numCalls == callState.length) {
      callState = Arrays.copyOf(callState, numCalls * 2);
      callCount = Arrays.copyOf(callCount, numCalls * 2);
      callFrame = Arrays.copyOf(callFrame, numCalls * 2);
      callNext = Arrays.copyOf(callNext, numCalls * 2);
    }
    if (firstCaller[callee] == RuleNetwork.NONE) {
      if (numPending == pendingRules.length) {
        pendingRules = Arrays.copyOf(pendingRules, numPending * 2);
      }
      pendingRules[numPending++] = callee;
    }
    callState[numCalls] = returnTo;
    callCount[numCalls] = count;
    callFrame[numCalls] = frame;
    callNext[numCalls] = firstCaller[callee];
    firstCaller[callee] = numCalls++;
  }

  private int takeFirstPending() {
    int best = 0;
    for (int i = 1; i < numPending; i++) {
      if (net.rank[pendingRules[i]] < net.rank[pendingRules[best]]) {
        best = i;
      }
    }
    int callee = pendingRules[best];
    pendingRules[best] = pendingRules[--numPending];
    return callee;
  }

  private void call(int callee) {
    int n = 0;
    for (int c = firstCaller[callee]; c != RuleNetwork.NONE; c = callNext[c]) {
      n++;
    }
    int[] returnTo = new int[n];
    int[] count = new int[n];
    Frame[] parent = new Frame[n];
    for (int c = firstCaller[callee]; c != RuleNetwork.NONE; c = callNext[c]) {
      n--;
      returnTo[n] = callState[c];
      count[n] = callCount[c];
      parent[n] = callFrame[c];
    }
    firstCaller[callee] = RuleNetwork.NONE;
    add(net.start[callee], 0, new Frame(returnTo, count, parent));
  }

  private void add(int state, int count, Frame frame) {
    int deepest = frame.depth() + net.need[state];
    if (deepest > maxDepth) {
      return;
    }
    int slot = slot(state, count, frame);
    if (table[slot] != 0) {
      return;
    }
    depth = Math.max(depth, deepest);
    if (size == states.length) {
      grow();
    }
    if (numUsed == used.length) {
      used = Arrays.copyOf(used, numUsed * 2);
    }
    used[numUsed++] = slot;
    states[size] = state;
    counts[size] = count;
    frames[size] = frame;
    reads[size] = false;
    table[slot] = ++size;
    if (size * 2 > table.length) {
      rehash();
    }
  }

  private void grow() {
    if (size >= MAX_STATES) {
      throw new GenerationException(
          ErrorCode.GENERATION_FAILED,
          "The response format became too ambiguous",
          "must be <= " + MAX_STATES + ": states that are possible at once",
          "write the grammar so that fewer alternatives start alike");
    }
    states = Arrays.copyOf(states, size * 2);
    counts = Arrays.copyOf(counts, size * 2);
    frames = Arrays.copyOf(frames, size * 2);
    reads = Arrays.copyOf(reads, size * 2);
  }

  private int slot(int state, int count, Frame frame) {
    int h = (state * 31 + count) * 31 + frame.callersHash();
    h *= 0x9E3779B9;
    int mask = table.length - 1;
    int slot = (h ^ h >>> 15) & mask;
    while (table[slot] != 0) {
      int i = table[slot] - 1;
      if (states[i] == state && counts[i] == count && frames[i].sameCallers(frame)) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private void rehash() {
    table = new int[table.length * 2];
    numUsed = 0;
    used = Arrays.copyOf(used, Math.max(used.length, size));
    for (int i = 0; i < size; i++) {
      int slot = slot(states[i], counts[i], frames[i]);
      table[slot] = i + 1;
      used[numUsed++] = slot;
    }
  }

  private Configuration listed() {
    int n = 0;
    for (int i = 0; i < size; i++) {
      n += reads[i] ? 1 : 0;
    }
    int[] s = new int[n];
    int[] c = new int[n];
    Frame[] f = new Frame[n];
    int len = 0;
    for (int i = 0; i < size; i++) {
      if (reads[i]) {
        s[len] = states[i];
        c[len] = counts[i];
        f[len++] = frames[i];
      }
    }
    Arrays.fill(frames, 0, size, Frame.BOTTOM);
    Arrays.fill(callFrame, 0, numCalls, Frame.BOTTOM);
    return new Configuration(s, c, f, ends, depth);
  }
}
