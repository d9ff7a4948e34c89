package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.Text;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What must be known of a network before it runs: which rules may be empty (their callers may step
 * over them), in which order rules call each other without reading, and how deep a state must still
 * go. Refuses left recursion and grammars that match nothing; removes dead ends.
 */
final class NetworkAnalysis {

  private static final int INFINITE = Integer.MAX_VALUE;

  private final NetworkBuilder net;
  private final Rules names;
  private final int numRules;
  private final boolean[] nullable;

  /** The round in which each state was last reached. */
  private final int[] seenIn;

  private int round;

  NetworkAnalysis(NetworkBuilder net, Rules names) {
    this.net = net;
    this.names = names;
    this.numRules = net.rules.size();
    this.nullable = new boolean[numRules];
    this.seenIn = new int[net.numStates];
  }

  void run() {
    findNullable();
    skipNullable();
    net.need = needs();
    if (net.need[net.rules.getFirst().start()] == INFINITE) {
      throw new InvalidRequestException(
          ErrorCode.GRAMMAR_UNSUPPORTED,
          "No text matches the response format",
          "every alternative contradicts itself or never ends",
          "look for rules that only call themselves, or for bounds that exclude each other");
    }
    prune();
    net.rank = ranks();
  }

  private void findNullable() {
    boolean changed = true;
    while (changed) {
      changed = false;
      for (int r = 0; r < numRules; r++) {
        if (!nullable[r] && reachesEnd(r)) {
          nullable[r] = true;
          changed = true;
        }
      }
    }
  }

  private boolean reachesEnd(int rule) {
    for (int state : silentlyReached(rule)) {
      if (net.isFinal[state]) {
        return true;
      }
    }
    return false;
  }

  /** The states of a rule that are reached from its start without reading. */
  private List<Integer> silentlyReached(int rule) {
    List<Integer> reached = new ArrayList<>();
    ArrayDeque<Integer> open = new ArrayDeque<>();
    open.add(net.rules.get(rule).start());
    round++;
    seenIn[open.getFirst()] = round;
    while (!open.isEmpty()) {
      int state = open.removeFirst();
      reached.add(state);
      net.countWork();
      for (int e = net.firstEdge[state]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
        if (isSilent(e, rule) && seenIn[net.to[e]] != round) {
          seenIn[net.to[e]] = round;
          open.add(net.to[e]);
        }
      }
    }
    return reached;
  }

  private boolean isSilent(int edge, int rule) {
    return switch (net.kind[edge]) {
      case RuleNetwork.MOVE, RuleNetwork.IF_MORE -> true;
      case RuleNetwork.IF_ENOUGH -> net.rules.get(rule).min() == 0;
      case RuleNetwork.CALL -> nullable[net.lo[edge]];
      default -> false;
    };
  }

  private void skipNullable() {
    int numEdges = net.numEdges;
    for (int state = 0; state < net.numStates; state++) {
      for (int e = net.firstEdge[state]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
        if (e < numEdges && net.kind[e] == RuleNetwork.CALL && nullable[net.lo[e]]) {
          net.move(state, net.to[e]);
        }
      }
    }
  }

  /**
   * For each state the least number of rules that must be open at once above its own. States settle
   * in the order of that number: depth 0 first, then what calls a rule of depth 0, and so on.
   */
  private int[] needs() {
    int[] need = new int[net.numStates];
    Arrays.fill(need, INFINITE);
    List<List<Integer>> into = incoming();
    List<List<Integer>> callersOf = new ArrayList<>();
    for (int r = 0; r < numRules; r++) {
      callersOf.add(new ArrayList<>());
    }
    for (int state = 0; state < net.numStates; state++) {
      for (int e = net.firstEdge[state]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
        if (net.kind[e] == RuleNetwork.CALL) {
          callersOf.get(net.lo[e]).add(state);
        }
      }
    }
    ArrayDeque<Integer> level = new ArrayDeque<>();
    for (int state = 0; state < net.numStates; state++) {
      if (net.isFinal[state]) {
        level.add(state);
      }
    }
    for (int depth = 0; !level.isEmpty(); depth++) {
      ArrayDeque<Integer> settled = settle(need, into, level, depth);
      level = new ArrayDeque<>();
      // Whoever waits for a rule or a state that settled now may settle one deeper.
      for (int r = 0; r < numRules; r++) {
        if (need[net.rules.get(r).start()] <= depth) {
          level.addAll(callersOf.get(r));
          callersOf.set(r, List.of());
        }
      }
      if (level.isEmpty() && settled.isEmpty()) {
        break;
      }
    }
    return need;
  }

  /** Gives a depth to all states that reach the end at it. */
  private ArrayDeque<Integer> settle(
      int[] need, List<List<Integer>> into, ArrayDeque<Integer> open, int depth) {
    ArrayDeque<Integer> settled = new ArrayDeque<>();
    while (!open.isEmpty()) {
      int state = open.removeFirst();
      net.countWork();
      if (need[state] != INFINITE || !reachesAt(state, need, depth)) {
        continue;
      }
      need[state] = depth;
      settled.add(state);
      open.addAll(into.get(state));
    }
    return settled;
  }

  private boolean reachesAt(int state, int[] need, int depth) {
    if (net.isFinal[state]) {
      return true;
    }
    for (int e = net.firstEdge[state]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
      boolean targetSettled = need[net.to[e]] <= depth;
      boolean calleeSettled =
          net.kind[e] != RuleNetwork.CALL || need[net.rules.get(net.lo[e]).start()] <= depth - 1;
      if (targetSettled && calleeSettled) {
        return true;
      }
    }
    return false;
  }

  private List<List<Integer>> incoming() {
    List<List<Integer>> into = new ArrayList<>();
    for (int state = 0; state < net.numStates; state++) {
      into.add(new ArrayList<>(2));
    }
    for (int state = 0; state < net.numStates; state++) {
      for (int e = net.firstEdge[state]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
        into.get(net.to[e]).add(state);
      }
    }
    return into;
  }

  /** Removes edges that lead nowhere. */
  private void prune() {
    for (int state = 0; state < net.numStates; state++) {
      int last = RuleNetwork.NONE;
      for (int e = net.firstEdge[state]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
        boolean dead =
            net.need[net.to[e]] == INFINITE
                || (net.kind[e] == RuleNetwork.CALL
                    && net.need[net.rules.get(net.lo[e]).start()] == INFINITE);
        if (!dead) {
          last = e;
        } else if (last == RuleNetwork.NONE) {
          net.firstEdge[state] = net.nextEdge[e];
        } else {
          net.nextEdge[last] = net.nextEdge[e];
        }
      }
    }
  }

  /** Orders rules so that each comes before those that it calls without reading first. */
  private int[] ranks() {
    List<List<Integer>> calls = new ArrayList<>();
    for (int r = 0; r < numRules; r++) {
      List<Integer> called = new ArrayList<>();
      for (int state : silentlyReached(r)) {
        for (int e = net.firstEdge[state]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
          if (net.kind[e] == RuleNetwork.CALL) {
            called.add(net.lo[e]);
          }
        }
      }
      calls.add(called);
    }
    int[] numCallers = new int[numRules];
    calls.forEach(called -> called.forEach(r -> numCallers[r]++));
    ArrayDeque<Integer> free = new ArrayDeque<>();
    for (int r = 0; r < numRules; r++) {
      if (numCallers[r] == 0) {
        free.add(r);
      }
    }
    int[] order = new int[numRules];
    int next = 0;
    while (!free.isEmpty()) {
      int r = free.removeFirst();
      order[r] = next++;
      for (int called : calls.get(r)) {
        if (--numCallers[called] == 0) {
          free.add(called);
        }
      }
    }
    if (next < numRules) {
      throw leftRecursion(numCallers);
    }
    return order;
  }

  private InvalidRequestException leftRecursion(int[] numCallers) {
    List<String> among = new ArrayList<>();
    for (int r = 1; r <= names.size() && among.size() < 8; r++) {
      if (numCallers[r] > 0) {
        among.add(Text.quote(names.name(r - 1)));
      }
    }
    return new InvalidRequestException(
        ErrorCode.GRAMMAR_UNSUPPORTED,
        "The grammar is left-recursive",
        "a rule must read something before it calls itself: among the rules "
            + String.join(", ", among),
        "write a ::= b (\",\" b)* instead of a ::= a \",\" b | b");
  }
}
