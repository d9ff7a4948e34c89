package dev.fathom.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What a regular expression means for a whole text: anchors are resolved, and what is not anchored
 * may stand anywhere.
 */
final class Patterns {

  private static final Expr ANYTHING = Expr.any(new Expr.Chars(CodePoints.ALL));

  private Patterns() {}

  /**
   * Returns an expression for the texts that a pattern matches as a whole.
   *
   * @param pattern anchors at the start and the end may be there or not
   */
  static Expr whole(Expr pattern, Budget budget) {
    Expr simple = withoutOuterAnchors(pattern, false);
    return simple != null ? simple : new Expr.Automaton(automaton(pattern, false, budget));
  }

  /** Returns an expression for the texts in which a pattern is found. */
  static Expr found(Expr pattern, Budget budget) {
    Expr simple = withoutOuterAnchors(pattern, true);
    return simple != null ? simple : new Expr.Automaton(automaton(pattern, true, budget));
  }

  /**
   * Resolves anchors at the ends of the alternatives; null where there are others.
   *
   * @param anywhere whether an end without an anchor may be followed by anything
   */
  private static @Nullable Expr withoutOuterAnchors(Expr pattern, boolean anywhere) {
    List<Expr> branches = pattern instanceof Expr.Alt alt ? alt.branches() : List.of(pattern);
    List<Expr> made = new ArrayList<>();
    for (Expr branch : branches) {
      List<Expr> parts = branch instanceof Expr.Seq seq ? seq.parts() : List.of(branch);
      boolean starts = !parts.isEmpty() && parts.getFirst() == Expr.Anchor.START;
      boolean ends = !parts.isEmpty() && parts.getLast() == Expr.Anchor.END;
      List<Expr> inner = parts.subList(starts ? 1 : 0, parts.size() - (ends ? 1 : 0));
      if (inner.stream().anyMatch(Patterns::hasAnchor)) {
        return null;
      }
      List<Expr> all = new ArrayList<>(inner);
      if (anywhere && !starts) {
        all.addFirst(ANYTHING);
      }
      if (anywhere && !ends) {
        all.add(ANYTHING);
      }
      made.add(new Expr.Seq(all));
    }
    return made.size() == 1 ? made.getFirst() : new Expr.Alt(made);
  }

  private static boolean hasAnchor(Expr expr) {
    return switch (expr) {
      case Expr.Anchor ignored -> true;
      case Expr.Seq seq -> seq.parts().stream().anyMatch(Patterns::hasAnchor);
      case Expr.Alt alt -> alt.branches().stream().anyMatch(Patterns::hasAnchor);
      case Expr.Repeat repeat -> hasAnchor(repeat.body());
      default -> false;
    };
  }

  /**
   * Makes a deterministic automaton.
   *
   * @param anywhere whether the pattern may be found inside the text, or must be all of it
   */
  static CharAutomaton automaton(Expr pattern, boolean anywhere, Budget budget) {
    Expr all = anywhere ? Expr.seq(ANYTHING, pattern, ANYTHING) : pattern;
    return new SubsetConstruction(all, budget).run();
  }

  /** Positions of a pattern become states of an automaton, sets of them at a time. */
  private static final class SubsetConstruction {

    private final Budget budget;
    private final List<List<CharAutomaton.Arc>> arcs = new ArrayList<>();
    private final List<List<Integer>> moves = new ArrayList<>();
    private final List<List<Integer>> movesAtStart = new ArrayList<>();
    private final List<List<Integer>> movesAtEnd = new ArrayList<>();
    private final int first;
    private final int last;

    SubsetConstruction(Expr pattern, Budget budget) {
      this.budget = budget;
      this.first = newState();
      this.last = build(pattern, first);
    }

    private int newState() {
      budget.state();
      arcs.add(new ArrayList<>());
      moves.add(new ArrayList<>());
      movesAtStart.add(new ArrayList<>());
      movesAtEnd.add(new ArrayList<>());
      return arcs.size() - 1;
    }

    private int build(Expr expr, int from) {
      int end = newState();
      switch (expr) {
        case Expr.Chars chars -> arcs.get(from).add(new CharAutomaton.Arc(chars.set(), end));
        case Expr.Seq seq -> {
          int at = from;
          for (Expr part : seq.parts()) {
            at = build(part, at);
          }
          moves.get(at).add(end);
        }
        case Expr.Alt alt -> {
          for (Expr branch : alt.branches()) {
            moves.get(build(branch, from)).add(end);
          }
        }
        case Expr.Repeat repeat -> repeat(repeat, from, end);
        case Expr.Anchor anchor ->
            (anchor == Expr.Anchor.START ? movesAtStart : movesAtEnd).get(from).add(end);
        default -> throw new IllegalStateException("must be a part of a pattern: " + expr);
      }
      return end;
    }

    private void repeat(Expr.Repeat repeat, int from, int end) {
      int at = from;
      for (int i = 0; i < repeat.min(); i++) {
        at = build(repeat.body(), at);
      }
      if (repeat.max() == Expr.UNBOUNDED) {
        int loop = newState();
        moves.get(at).add(loop);
        moves.get(build(repeat.body(), loop)).add(loop);
        moves.get(loop).add(end);
        return;
      }
      moves.get(at).add(end);
      for (int i = repeat.min(); i < repeat.max(); i++) {
        at = build(repeat.body(), at);
        moves.get(at).add(end);
      }
    }

    CharAutomaton run() {
      Map<List<Integer>, Integer> numbers = new HashMap<>();
      ArrayDeque<List<Integer>> open = new ArrayDeque<>();
      List<List<CharAutomaton.Arc>> made = new ArrayList<>();
      List<Boolean> ends = new ArrayList<>();
      List<Integer> start = closure(List.of(first), true, false);
      numbers.put(start, 0);
      open.add(start);
      while (!open.isEmpty()) {
        budget.state();
        List<Integer> set = open.removeFirst();
        Map<Integer, List<CodePoints>> byTarget = new HashMap<>();
        for (CharAutomaton.Arc part : partition(set)) {
          List<Integer> target = closure(after(set, part.set().first(0)), false, false);
          Integer number = numbers.get(target);
          if (number == null) {
            number = numbers.size();
            numbers.put(target, number);
            open.add(target);
          }
          byTarget.computeIfAbsent(number, k -> new ArrayList<>()).add(part.set());
        }
        List<CharAutomaton.Arc> own = new ArrayList<>();
        byTarget.forEach((t, sets) -> own.add(new CharAutomaton.Arc(CodePoints.union(sets), t)));
        made.add(own);
        boolean atStart = made.size() == 1;
        ends.add(closure(set, atStart, true).contains(last));
      }
      boolean[] accepts = new boolean[ends.size()];
      for (int s = 0; s < accepts.length; s++) {
        accepts[s] = ends.get(s);
      }
      return new CharAutomaton(made, accepts).trimmed();
    }

    /** Splits all code points that lead on into ranges whose members lead to the same states. */
    private List<CharAutomaton.Arc> partition(List<Integer> set) {
      TreeSet<Integer> bounds = new TreeSet<>();
      List<CodePoints> sets = new ArrayList<>();
      for (int state : set) {
        for (CharAutomaton.Arc arc : arcs.get(state)) {
          sets.add(arc.set());
          for (int i = 0; i < arc.set().numRanges(); i++) {
            budget.work();
            bounds.add(arc.set().first(i));
            bounds.add(arc.set().last(i) + 1);
          }
        }
      }
      CodePoints any = CodePoints.union(sets);
      List<CharAutomaton.Arc> parts = new ArrayList<>();
      Integer from = bounds.pollFirst();
      while (from != null && !bounds.isEmpty()) {
        int next = bounds.removeFirst();
        if (any.contains(from)) {
          parts.add(new CharAutomaton.Arc(CodePoints.ofRange(from, next - 1), 0));
        }
        from = next;
      }
      return parts;
    }

    private List<Integer> after(List<Integer> set, int codePoint) {
      List<Integer> targets = new ArrayList<>();
      for (int state : set) {
        for (CharAutomaton.Arc arc : arcs.get(state)) {
          budget.work();
          if (arc.set().contains(codePoint)) {
            targets.add(arc.target());
          }
        }
      }
      return targets;
    }

    private List<Integer> closure(List<Integer> from, boolean atStart, boolean atEnd) {
      boolean[] seen = new boolean[arcs.size()];
      ArrayDeque<Integer> open = new ArrayDeque<>();
      for (int state : from) {
        if (!seen[state]) {
          seen[state] = true;
          open.add(state);
        }
      }
      int[] found = new int[arcs.size()];
      int n = 0;
      while (!open.isEmpty()) {
        int state = open.removeFirst();
        budget.work();
        found[n++] = state;
        List<Integer> next = new ArrayList<>(moves.get(state));
        next.addAll(atStart ? movesAtStart.get(state) : List.of());
        next.addAll(atEnd ? movesAtEnd.get(state) : List.of());
        for (int target : next) {
          if (!seen[target]) {
            seen[target] = true;
            open.add(target);
          }
        }
      }
      int[] sorted = Arrays.copyOf(found, n);
      Arrays.sort(sorted);
      return Arrays.stream(sorted).boxed().toList();
    }
  }
}
