package dev.fathom.grammar;

import java.util.Arrays;

/**
 * The rules of a grammar as one recursive transition network over bytes: states with edges that
 * read a byte, read a control token, call a rule, or only move. Made by {@link NetworkBuilder},
 * immutable afterwards.
 *
 * <p>A rule may count: each activation of it has one counter, which starts at 0, which {@link #INC}
 * raises, and which {@link #IF_MORE} and {@link #IF_ENOUGH} compare with the rule's bounds. All
 * states can reach the end of their rule; what could not was removed.
 */
final class RuleNetwork {

  /** Reads a byte in [lo, hi]. */
  static final byte BYTES = 0;

  /** Reads the control token lo. */
  static final byte CONTROL = 1;

  /** Runs the rule lo, then goes on at the target. */
  static final byte CALL = 2;

  /** Moves. */
  static final byte MOVE = 3;

  /** Moves and counts. */
  static final byte INC = 4;

  /** Moves if the counter is below the rule's largest count. */
  static final byte IF_MORE = 5;

  /** Moves if the counter has reached the rule's smallest count. */
  static final byte IF_ENOUGH = 6;

  /** No state, no edge. */
  static final int NONE = -1;

  /** First edge of each state. */
  final int[] firstEdge;

  final int[] nextEdge;
  final byte[] kind;
  final int[] lo;
  final int[] hi;
  final int[] to;

  /** The rule that each state belongs to. */
  final int[] ruleOf;

  /** Whether the rule may end at the state. */
  final boolean[] isFinal;

  /** How many rules must be open at once above the state's own until that one can end. */
  final int[] need;

  /** First state of each rule. */
  final int[] start;

  /** Bounds of each rule's counter; largest count -1 for none. */
  final int[] minCount;

  final int[] maxCount;

  /** Callers come before the rules that they may call without reading anything. */
  final int[] rank;

  /** Class of each byte: bytes of one class are on the same edges. */
  final int[] classOf;

  final int numClasses;

  /** Control tokens that some edge reads, ascending. */
  final int[] controls;

  RuleNetwork(NetworkBuilder built) {
    firstEdge = Arrays.copyOf(built.firstEdge, built.numStates);
    nextEdge = Arrays.copyOf(built.nextEdge, built.numEdges);
    kind = Arrays.copyOf(built.kind, built.numEdges);
    lo = Arrays.copyOf(built.lo, built.numEdges);
    hi = Arrays.copyOf(built.hi, built.numEdges);
    to = Arrays.copyOf(built.to, built.numEdges);
    ruleOf = Arrays.copyOf(built.ruleOf, built.numStates);
    isFinal = Arrays.copyOf(built.isFinal, built.numStates);
    int numRules = built.rules.size();
    start = new int[numRules];
    minCount = new int[numRules];
    maxCount = new int[numRules];
    for (int r = 0; r < numRules; r++) {
      NetworkBuilder.Counted rule = built.rules.get(r);
      start[r] = rule.start();
      minCount[r] = rule.min();
      maxCount[r] = rule.max();
    }
    need = built.need;
    rank = built.rank;
    classOf = new int[256];
    numClasses = classes();
    controls = controlTokens();
  }

  int numStates() {
    return firstEdge.length;
  }

  /** Returns whether the only thing to do at a state is to end its rule. */
  boolean onlyEnds(int state) {
    return isFinal[state] && firstEdge[state] == NONE;
  }

  private int classes() {
    boolean[] starts = new boolean[257];
    for (int state = 0; state < firstEdge.length; state++) {
      for (int e = firstEdge[state]; e != NONE; e = nextEdge[e]) {
        if (kind[e] == BYTES) {
          starts[lo[e]] = true;
          starts[hi[e] + 1] = true;
        }
      }
    }
    int count = 0;
    for (int b = 0; b < classOf.length; b++) {
      if (b > 0 && starts[b]) {
        count++;
      }
      classOf[b] = count;
    }
    return count + 1;
  }

  private int[] controlTokens() {
    return java.util.stream.IntStream.range(0, kind.length)
        .filter(e -> kind[e] == CONTROL)
        .map(e -> lo[e])
        .distinct()
        .sorted()
        .toArray();
  }
}
