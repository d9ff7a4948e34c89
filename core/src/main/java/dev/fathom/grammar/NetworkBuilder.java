package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Turns rules into a {@link RuleNetwork}. Repetitions are unrolled where that is cheap; else they
 * become a rule of their own that counts, and takes along what follows it, so that the rule does
 * not end, and cannot be confused with going on, at each repetition.
 */
final class NetworkBuilder {

  /** Most states that a repetition is unrolled to. */
  private static final int MAX_UNROLLED = 192;

  /** A rule: where it starts, and the bounds of its counter. */
  record Counted(int start, int min, int max) {}

  /** What is still to be compiled: a list. */
  private record Item(Expr expr, boolean json, @Nullable Item next) {}

  final List<Counted> rules = new ArrayList<>();
  int[] firstEdge = new int[256];
  int[] ruleOf = new int[256];
  boolean[] isFinal = new boolean[256];
  int numStates;
  int[] nextEdge = new int[256];
  byte[] kind = new byte[256];
  int[] lo = new int[256];
  int[] hi = new int[256];
  int[] to = new int[256];
  int numEdges;
  int[] need = {};
  int[] rank = {};

  private final Rules source;
  private final Budget budget;
  private final Utf8Edges utf8;
  private final boolean[] nullable;
  private int rule;

  private NetworkBuilder(Rules source) {
    this.source = source;
    this.budget = source.budget();
    this.utf8 = new Utf8Edges(this, source.escaped());
    this.nullable = nullableRules();
  }

  /** Compiles all rules; rule 0 of the network is {@code root}. */
  static RuleNetwork build(Rules rules, int root) {
    NetworkBuilder builder = new NetworkBuilder(rules);
    // Rule 0 is only a call, so that the root's number does not matter.
    builder.rules.add(new Counted(0, 0, Expr.UNBOUNDED));
    for (int r = 0; r < rules.size(); r++) {
      builder.rules.add(new Counted(0, 0, Expr.UNBOUNDED));
    }
    builder.define(0, new Expr.Ref(root));
    for (int r = 0; r < rules.size(); r++) {
      builder.define(r + 1, rules.body(r));
    }
    new NetworkAnalysis(builder, rules).run();
    return new RuleNetwork(builder);
  }

  private void define(int number, Expr body) {
    rule = number;
    int first = newState();
    rules.set(number, new Counted(first, 0, Expr.UNBOUNDED));
    int end = compile(new Item(body, false, null), first);
    isFinal[end] = true;
  }

  int newState() {
    budget.state();
    if (numStates == firstEdge.length) {
      firstEdge = Arrays.copyOf(firstEdge, numStates * 2);
      ruleOf = Arrays.copyOf(ruleOf, numStates * 2);
      isFinal = Arrays.copyOf(isFinal, numStates * 2);
    }
    firstEdge[numStates] = RuleNetwork.NONE;
    ruleOf[numStates] = rule;
    return numStates++;
  }

  void edge(int from, byte edgeKind, int low, int high, int target) {
    budget.work();
    if (numEdges == kind.length) {
      int capacity = numEdges * 2;
      nextEdge = Arrays.copyOf(nextEdge, capacity);
      kind = Arrays.copyOf(kind, capacity);
      lo = Arrays.copyOf(lo, capacity);
      hi = Arrays.copyOf(hi, capacity);
      to = Arrays.copyOf(to, capacity);
    }
    nextEdge[numEdges] = firstEdge[from];
    kind[numEdges] = edgeKind;
    lo[numEdges] = low;
    hi[numEdges] = high;
    to[numEdges] = target;
    firstEdge[from] = numEdges++;
  }

  void countWork() {
    budget.work();
  }

  void bytes(int from, int low, int high, int target) {
    edge(from, RuleNetwork.BYTES, low, high, target);
  }

  void move(int from, int target) {
    edge(from, RuleNetwork.MOVE, 0, 0, target);
  }

  /** Compiles a list of expressions behind a state and returns where it ends. */
  private int compile(@Nullable Item items, int from) {
    int at = from;
    Item item = items;
    while (item != null) {
      Item next = item.next();
      boolean json = item.json();
      switch (item.expr()) {
        case Expr.Seq seq -> next = prepend(seq.parts(), json, next);
        case Expr.JsonEscaped inside -> next = new Item(inside.body(), true, next);
        case Expr.Repeat repeat when counts(repeat, json) -> {
          return counted(repeat, json, next, at);
        }
        case Expr.Repeat repeat -> at = unrolled(repeat, json, at);
        case Expr.Alt alt -> at = branches(alt, json, at);
        default -> at = leaf(item.expr(), json, at);
      }
      item = next;
    }
    return at;
  }

  private static @Nullable Item prepend(List<Expr> parts, boolean json, @Nullable Item next) {
    Item item = next;
    for (int i = parts.size() - 1; i >= 0; i--) {
      item = new Item(parts.get(i), json, item);
    }
    return item;
  }

  private int branches(Expr.Alt alt, boolean json, int from) {
    int end = newState();
    for (Expr branch : alt.branches()) {
      move(compile(new Item(branch, json, null), from), end);
    }
    return end;
  }

  private int leaf(Expr expr, boolean json, int from) {
    int end = newState();
    switch (expr) {
      case Expr.Literal literal -> {
        move(text(literal.text(), json, from), end);
      }
      case Expr.Chars chars -> utf8.chars(from, chars.set(), json, end);
      case Expr.JsonChar ignored -> utf8.jsonChar(from, end);
      case Expr.Texts texts -> new TextTrie(this, json).add(texts.texts(), from, end);
      case Expr.Ref ref -> edge(from, RuleNetwork.CALL, ref.rule() + 1, 0, end);
      case Expr.Automaton automaton -> automaton(automaton.automaton(), json, from, end);
      case Expr.Control control -> edge(from, RuleNetwork.CONTROL, control.tokenId(), 0, end);
      default -> throw new IllegalStateException("must be a leaf: " + expr);
    }
    return end;
  }

  private int text(String text, boolean json, int from) {
    int at = from;
    for (byte b : encoded(text, json)) {
      int next = newState();
      bytes(at, b & 0xFF, b & 0xFF, next);
      at = next;
    }
    return at;
  }

  /** The bytes of a text, with JSON's escapes where they are wanted. */
  byte[] encoded(String text, boolean json) {
    if (!json) {
      return text.getBytes(StandardCharsets.UTF_8);
    }
    StringBuilder quoted = new StringBuilder();
    dev.fathom.json.JsonWriter.quote(quoted, text);
    StringBuilder inside = new StringBuilder();
    for (int i = 1; i < quoted.length() - 1; i++) {
      char c = quoted.charAt(i);
      if (source.escaped().contains(c)) {
        inside.append("\\u").append(HexFormat.of().toHexDigits(c));
      } else {
        inside.append(c);
      }
    }
    return inside.toString().getBytes(StandardCharsets.UTF_8);
  }

  private void automaton(CharAutomaton automaton, boolean json, int from, int end) {
    int[] states = new int[automaton.numStates()];
    for (int s = 0; s < states.length; s++) {
      states[s] = newState();
    }
    move(from, states[0]);
    for (int s = 0; s < states.length; s++) {
      for (CharAutomaton.Arc arc : automaton.arcs(s)) {
        utf8.chars(states[s], arc.set(), json, states[arc.target()]);
      }
      if (automaton.accepts(s)) {
        move(states[s], end);
      }
    }
  }

  private int unrolled(Expr.Repeat repeat, boolean json, int from) {
    int at = from;
    for (int i = 0; i < repeat.min(); i++) {
      at = compile(new Item(repeat.body(), json, null), at);
    }
    if (repeat.max() == Expr.UNBOUNDED) {
      int loop = newState();
      move(at, loop);
      move(compile(new Item(repeat.body(), json, null), loop), loop);
      int end = newState();
      move(loop, end);
      return end;
    }
    int end = newState();
    move(at, end);
    for (int i = repeat.min(); i < repeat.max(); i++) {
      at = compile(new Item(repeat.body(), json, null), at);
      move(at, end);
    }
    return end;
  }

  /** Puts a repetition and what follows it into a rule that counts. */
  private int counted(Expr.Repeat repeat, boolean json, @Nullable Item after, int from) {
    if (isNullable(repeat.body())) {
      throw new InvalidRequestException(
          ErrorCode.GRAMMAR_UNSUPPORTED,
          "The grammar repeats something that may be empty",
          "a repetition of what may be empty must be small: min="
              + repeat.min()
              + " max="
              + repeat.max(),
          "let what is repeated match at least one character, or use * instead of the count");
    }
    budget.rule();
    int caller = rule;
    int number = rules.size();
    rule = number;
    rules.add(new Counted(0, 0, 0));
    int head = newState();
    rules.set(number, new Counted(head, repeat.min(), repeat.max()));
    int body = newState();
    edge(head, RuleNetwork.IF_MORE, 0, 0, body);
    edge(compile(new Item(repeat.body(), json, null), body), RuleNetwork.INC, 0, 0, head);
    int enough = newState();
    edge(head, RuleNetwork.IF_ENOUGH, 0, 0, enough);
    int last = compile(after, enough);
    isFinal[last] = true;
    rule = caller;
    int end = newState();
    edge(from, RuleNetwork.CALL, number, 0, end);
    return end;
  }

  private boolean counts(Expr.Repeat repeat, boolean json) {
    long copies = repeat.max() == Expr.UNBOUNDED ? repeat.min() + 1L : repeat.max();
    return copies > 2 && copies * size(repeat.body(), json) > MAX_UNROLLED;
  }

  /** Roughly how many states an expression takes. */
  private static long size(Expr expr, boolean json) {
    return switch (expr) {
      case Expr.Seq seq -> sum(seq.parts(), json);
      case Expr.Alt alt -> 1 + sum(alt.branches(), json);
      case Expr.Repeat r ->
          Math.min(
              1 << 20, size(r.body(), json) * (r.max() == Expr.UNBOUNDED ? r.min() + 1 : r.max()));
      case Expr.JsonEscaped inside -> size(inside.body(), true);
      case Expr.Literal literal -> literal.text().length();
      case Expr.Chars chars ->
          chars.set().isEmpty() || chars.set().last(chars.set().numRanges() - 1) < 0x80
              ? 1
              : 8 + chars.set().numRanges();
      case Expr.JsonChar ignored -> 24;
      case Expr.Texts texts -> texts.texts().stream().mapToLong(String::length).sum();
      case Expr.Automaton automaton -> 4L * automaton.automaton().numStates();
      case Expr.Ref ignored -> 1;
      case Expr.Control ignored -> 1;
      case Expr.Anchor ignored -> 0;
    };
  }

  private static long sum(List<Expr> parts, boolean json) {
    long sum = 1;
    for (Expr part : parts) {
      sum = Math.min(1 << 24, sum + size(part, json));
    }
    return sum;
  }

  private boolean[] nullableRules() {
    boolean[] found = new boolean[source.size()];
    boolean changed = true;
    while (changed) {
      changed = false;
      for (int r = 0; r < found.length; r++) {
        budget.work();
        if (!found[r] && isNullable(source.body(r), found)) {
          found[r] = true;
          changed = true;
        }
      }
    }
    return found;
  }

  private boolean isNullable(Expr expr) {
    return isNullable(expr, nullable);
  }

  private static boolean isNullable(Expr expr, boolean[] known) {
    return switch (expr) {
      case Expr.Seq seq -> seq.parts().stream().allMatch(part -> isNullable(part, known));
      case Expr.Alt alt -> alt.branches().stream().anyMatch(branch -> isNullable(branch, known));
      case Expr.Repeat r -> r.min() == 0 || isNullable(r.body(), known);
      case Expr.JsonEscaped inside -> isNullable(inside.body(), known);
      case Expr.Literal literal -> literal.text().isEmpty();
      case Expr.Texts texts -> texts.texts().contains("");
      case Expr.Automaton automaton -> automaton.automaton().accepts(0);
      case Expr.Ref ref -> known[ref.rule()];
      case Expr.Anchor ignored -> true;
      case Expr.Chars ignored -> false;
      case Expr.JsonChar ignored -> false;
      case Expr.Control ignored -> false;
    };
  }
}
