package dev.fathom.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A deterministic automaton over code points: what patterns, formats and numbers become where they
 * must be intersected or complemented. State 0 is the first; from every state every code point
 * leads somewhere or nowhere, in which case no text of that start is accepted. Immutable.
 */
final class CharAutomaton {

  /** An arc: on each of the set's members to the target. */
  record Arc(CodePoints set, int target) {}

  private final List<List<Arc>> arcs;
  private final boolean[] accepts;

  CharAutomaton(List<List<Arc>> arcs, boolean[] accepts) {
    this.arcs = List.copyOf(arcs);
    this.accepts = accepts.clone();
  }

  /** Accepts exactly some texts. */
  static CharAutomaton of(List<String> texts, Budget budget) {
    List<Map<Integer, Integer>> tree = new ArrayList<>();
    List<Boolean> ends = new ArrayList<>();
    tree.add(new HashMap<>());
    ends.add(false);
    for (String text : texts) {
      int state = 0;
      for (int c : text.codePoints().toArray()) {
        Integer next = tree.get(state).get(c);
        if (next == null) {
          budget.state();
          next = tree.size();
          tree.get(state).put(c, next);
          tree.add(new HashMap<>());
          ends.add(false);
        }
        state = next;
      }
      ends.set(state, true);
    }
    List<List<Arc>> arcs = new ArrayList<>();
    boolean[] accepts = new boolean[tree.size()];
    for (int s = 0; s < accepts.length; s++) {
      List<Arc> own = new ArrayList<>();
      tree.get(s).forEach((c, t) -> own.add(new Arc(CodePoints.of(c), t)));
      arcs.add(own);
      accepts[s] = ends.get(s);
    }
    return new CharAutomaton(arcs, accepts);
  }

  /** Accepts texts of a length in [min, max] code points; max may be {@link Expr#UNBOUNDED}. */
  static CharAutomaton ofLength(int min, int max, Budget budget) {
    int last = max == Expr.UNBOUNDED ? min : max;
    List<List<Arc>> arcs = new ArrayList<>();
    boolean[] accepts = new boolean[last + 1];
    for (int s = 0; s <= last; s++) {
      budget.state();
      accepts[s] = s >= min;
      int target = s < last ? s + 1 : s;
      boolean stops = s == last && max != Expr.UNBOUNDED;
      arcs.add(stops ? List.of() : List.of(new Arc(CodePoints.ALL, target)));
    }
    return new CharAutomaton(arcs, accepts);
  }

  int numStates() {
    return accepts.length;
  }

  List<Arc> arcs(int state) {
    return arcs.get(state);
  }

  boolean accepts(int state) {
    return accepts[state];
  }

  /** Returns whether a text is accepted. */
  boolean matches(String text) {
    int state = 0;
    for (int c : text.codePoints().toArray()) {
      state = step(state, c);
      if (state < 0) {
        return false;
      }
    }
    return accepts[state];
  }

  private int step(int state, int codePoint) {
    for (Arc arc : arcs.get(state)) {
      if (arc.set().contains(codePoint)) {
        return arc.target();
      }
    }
    return -1;
  }

  /** Returns whether no text is accepted; only meaningful after {@link #trimmed}. */
  boolean isEmpty() {
    return !accepts[0] && arcs.getFirst().isEmpty();
  }

  /** Accepts what both accept. */
  CharAutomaton and(CharAutomaton other, Budget budget) {
    Map<Long, Integer> numbers = new HashMap<>();
    ArrayDeque<long[]> open = new ArrayDeque<>();
    List<List<Arc>> made = new ArrayList<>();
    List<Boolean> ends = new ArrayList<>();
    numbers.put(0L, 0);
    open.add(new long[] {0, 0});
    while (!open.isEmpty()) {
      budget.state();
      long[] pair = open.removeFirst();
      List<Arc> own = new ArrayList<>();
      for (Arc a : arcs.get((int) pair[0])) {
        for (Arc b : other.arcs.get((int) pair[1])) {
          budget.work();
          CodePoints both = a.set().and(b.set());
          if (both.isEmpty()) {
            continue;
          }
          long key = (long) a.target() << 32 | b.target();
          Integer number = numbers.get(key);
          if (number == null) {
            number = numbers.size();
            numbers.put(key, number);
            open.add(new long[] {a.target(), b.target()});
          }
          own.add(new Arc(both, number));
        }
      }
      made.add(own);
      ends.add(accepts[(int) pair[0]] && other.accepts[(int) pair[1]]);
    }
    return new CharAutomaton(made, booleans(ends)).trimmed();
  }

  /** Accepts what this one does not. */
  CharAutomaton complement() {
    int sink = accepts.length;
    List<List<Arc>> made = new ArrayList<>();
    boolean[] ends = new boolean[sink + 1];
    for (int s = 0; s < sink; s++) {
      List<Arc> own = new ArrayList<>(arcs.get(s));
      CodePoints rest = CodePoints.union(own.stream().map(Arc::set).toList()).complement();
      if (!rest.isEmpty()) {
        own.add(new Arc(rest, sink));
      }
      made.add(own);
      ends[s] = !accepts[s];
    }
    made.add(List.of(new Arc(CodePoints.ALL, sink)));
    ends[sink] = true;
    return new CharAutomaton(made, ends);
  }

  /** Returns the same automaton without states that cannot reach an end. */
  CharAutomaton trimmed() {
    boolean[] live = live();
    int[] number = new int[accepts.length];
    Arrays.fill(number, -1);
    int n = 0;
    for (int s = 0; s < accepts.length; s++) {
      if (live[s] || s == 0) {
        number[s] = n++;
      }
    }
    List<List<Arc>> made = new ArrayList<>();
    List<Boolean> ends = new ArrayList<>();
    for (int s = 0; s < accepts.length; s++) {
      if (number[s] >= 0) {
        made.add(
            arcs.get(s).stream()
                .filter(arc -> live[arc.target()])
                .map(arc -> new Arc(arc.set(), number[arc.target()]))
                .toList());
        ends.add(accepts[s]);
      }
    }
    return new CharAutomaton(made, booleans(ends));
  }

  private boolean[] live() {
    List<List<Integer>> into = new ArrayList<>();
    for (int s = 0; s < accepts.length; s++) {
      into.add(new ArrayList<>(2));
    }
    for (int s = 0; s < accepts.length; s++) {
      for (Arc arc : arcs.get(s)) {
        into.get(arc.target()).add(s);
      }
    }
    boolean[] live = accepts.clone();
    ArrayDeque<Integer> open = new ArrayDeque<>();
    for (int s = 0; s < live.length; s++) {
      if (live[s]) {
        open.add(s);
      }
    }
    while (!open.isEmpty()) {
      for (int from : into.get(open.removeFirst())) {
        if (!live[from]) {
          live[from] = true;
          open.add(from);
        }
      }
    }
    return live;
  }

  private static boolean[] booleans(List<Boolean> list) {
    boolean[] array = new boolean[list.size()];
    for (int i = 0; i < array.length; i++) {
      array[i] = list.get(i);
    }
    return array;
  }

  @Override
  public String toString() {
    return "CharAutomaton[states=" + accepts.length + "]";
  }
}
