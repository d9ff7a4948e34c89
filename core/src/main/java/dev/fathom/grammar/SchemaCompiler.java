package dev.fathom.grammar;

import dev.fathom.grammar.SchemaDocument.Node;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Turns a JSON schema into rules. A rule stands for a set of subschemas that must hold together, so
 * that recursive schemas become recursive rules; its body is one alternative for each {@link
 * SchemaCase} and type.
 *
 * <p>What comes out accepts a subset of the valid documents: properties in the order of their
 * declaration, numbers in plain decimals where they are bounded, white space where {@link JsonGap}
 * says. Everything that it accepts is valid.
 */
final class SchemaCompiler {

  /** What is done about what a schema leaves open. */
  enum Mode {
    /** Properties that no schema mentions are not written. */
    CLOSED,

    /** Properties that no schema mentions may be written, as the standard says. */
    OPEN,

    /** More is accepted rather than less: to find out whether schemas exclude each other. */
    SUPERSET
  }

  final SchemaDocument document;
  final Rules rules;
  final JsonRules json;
  final Mode mode;
  private final Map<String, Expr.Ref> known = new HashMap<>();
  private final Deque<Runnable> open = new ArrayDeque<>();

  SchemaCompiler(SchemaDocument document, Rules rules, JsonGap gap, Mode mode) {
    this.document = document;
    this.rules = rules;
    this.json = new JsonRules(rules, gap);
    this.mode = mode;
  }

  /**
   * Adds the rules of a schema.
   *
   * @return the rule of the root
   */
  static Expr.Ref compile(String schemaJson, Rules rules, JsonGap gap, Mode mode) {
    SchemaDocument document = SchemaDocument.parse(schemaJson);
    return new SchemaCompiler(document, rules, gap, mode).run(List.of(document.root()));
  }

  private Expr.Ref run(List<Node> nodes) {
    Expr.Ref root = all(nodes);
    finish();
    return root;
  }

  /** Writes the rules that were asked for and are not yet written. */
  void finish() {
    while (!open.isEmpty()) {
      open.removeFirst().run();
    }
  }

  Budget budget() {
    return rules.budget();
  }

  /** Returns the rule for values that satisfy all of some schemas. */
  Expr.Ref all(List<Node> nodes) {
    List<Node> distinct = nodes.stream().distinct().toList();
    String key = distinct.stream().map(Node::pointer).sorted().collect(Collectors.joining("\n"));
    Expr.Ref same = known.get(key);
    if (same != null) {
      return same;
    }
    String name = distinct.isEmpty() ? "#" : distinct.getFirst().pointer();
    int rule = rules.declare(name);
    Expr.Ref made = new Expr.Ref(rule);
    known.put(key, made);
    open.add(() -> rules.define(rule, body(distinct)));
    return made;
  }

  List<SchemaCase> cases(List<Node> nodes) {
    return new SchemaCases(document, budget(), this::excludes).of(nodes);
  }

  /** Whether no value satisfies all of some schemas. */
  private boolean excludes(List<Node> joint) {
    if (mode == Mode.SUPERSET) {
      return true;
    }
    Rules own = new Rules(budget());
    SchemaCompiler other = new SchemaCompiler(document, own, JsonGap.NONE, Mode.SUPERSET);
    Expr.Ref root = other.run(joint);
    return !Productivity.of(own)[root.rule()];
  }

  private Expr body(List<Node> nodes) {
    List<Expr> branches = new ArrayList<>();
    for (SchemaCase one : cases(nodes)) {
      branches.add(body(one));
    }
    return branches.size() == 1 ? branches.getFirst() : new Expr.Alt(branches);
  }

  /** Returns the values of a case. */
  Expr body(SchemaCase one) {
    if (one.values != null) {
      return values(one, one.values);
    }
    List<Expr> branches = new ArrayList<>();
    for (SchemaType type : one.types) {
      branches.add(
          switch (type) {
            case NULL -> Expr.text("null");
            case BOOLEAN -> new Expr.Texts(List.of("true", "false"));
            case NUMBER -> number(one.numbers);
            case STRING -> string(one);
            case ARRAY -> array(one);
            case OBJECT -> new SchemaObjects(this, one, new JsonForm(this)).expression();
          });
    }
    return new Expr.Alt(branches);
  }

  private Expr values(SchemaCase one, List<JsonValue> values) {
    List<String> texts = new ArrayList<>();
    List<Expr> others = new ArrayList<>();
    for (JsonValue value : values) {
      budget().work();
      if (!one.types.contains(SchemaType.of(value)) || !satisfies(one, value)) {
        continue;
      }
      if (value instanceof JsonString text) {
        texts.add(text.value());
      } else {
        others.add(SchemaValues.write(value, json));
      }
    }
    if (!texts.isEmpty()) {
      others.add(JsonRules.quoted(new Expr.JsonEscaped(new Expr.Texts(texts))));
    }
    return new Expr.Alt(others);
  }

  private boolean satisfies(SchemaCase one, JsonValue value) {
    return switch (value) {
      case JsonNumber number ->
          one.numbers.contains(document.decimal(one.nodes.getFirst(), "enum", number));
      case JsonString text -> matches(one, text.value());
      case JsonArray ignored -> {
        boolean free = one.arrays.isEmpty() && one.minItems == 0 && one.maxItems < 0;
        yield requireFree(one, free && one.unique == null, "an array");
      }
      case JsonObject ignored -> {
        boolean free =
            one.objects.isEmpty()
                && one.required.isEmpty()
                && one.minProperties == 0
                && one.maxProperties < 0;
        yield requireFree(one, free, "an object");
      }
      default -> true;
    };
  }

  private boolean requireFree(SchemaCase one, boolean free, String what) {
    if (!free && mode != Mode.SUPERSET) {
      throw SchemaDocument.unsupported(
          one.nodes.getFirst(), "enum", what + " among the values must stand without other rules");
    }
    return true;
  }

  /** Returns whether a text satisfies the rules for strings. */
  boolean matches(SchemaCase one, String text) {
    int length = text.codePointCount(0, text.length());
    boolean fits = length >= one.minLength && (one.maxLength < 0 || length <= one.maxLength);
    for (Expr pattern : one.patterns) {
      fits = fits && Patterns.automaton(pattern, true, budget()).matches(text);
    }
    for (Expr format : one.formats) {
      fits = fits && matchesFormat(format, text);
    }
    return fits;
  }

  private boolean matchesFormat(Expr format, String text) {
    return mode == Mode.SUPERSET || Patterns.automaton(format, false, budget()).matches(text);
  }

  private Expr number(NumberSpec numbers) {
    if (numbers.isUnbounded()) {
      return numbers.integer() ? json.integer() : json.number();
    }
    return new Expr.Automaton(numbers.automaton(budget()));
  }

  /** Returns the strings of a case. */
  Expr string(SchemaCase one) {
    boolean bounded = one.minLength > 0 || one.maxLength != Expr.UNBOUNDED;
    int numSets = one.patterns.size() + (mode == Mode.SUPERSET ? 0 : one.formats.size());
    if (one.maxLength != Expr.UNBOUNDED && one.minLength > one.maxLength) {
      return Expr.NEVER;
    }
    if (numSets == 0) {
      return bounded
          ? JsonRules.quoted(new Expr.Repeat(new Expr.JsonChar(), one.minLength, one.maxLength))
          : json.string();
    }
    Expr inside;
    if (numSets == 1 && !bounded) {
      inside =
          one.patterns.isEmpty()
              ? Patterns.whole(one.formats.getFirst(), budget())
              : Patterns.found(one.patterns.getFirst(), budget());
    } else {
      inside = new Expr.Automaton(requireAutomaton(one));
    }
    return JsonRules.quoted(new Expr.JsonEscaped(inside));
  }

  private CharAutomaton requireAutomaton(SchemaCase one) {
    CharAutomaton automaton = automaton(one);
    return automaton == null ? CharAutomaton.ofLength(0, Expr.UNBOUNDED, budget()) : automaton;
  }

  /** Returns the strings of a case, null for all. */
  @Nullable CharAutomaton automaton(SchemaCase one) {
    List<CharAutomaton> all = new ArrayList<>();
    for (Expr pattern : one.patterns) {
      all.add(Patterns.automaton(pattern, true, budget()));
    }
    for (Expr format : mode == Mode.SUPERSET ? List.<Expr>of() : one.formats) {
      all.add(Patterns.automaton(format, false, budget()));
    }
    if (one.minLength > 0 || one.maxLength != Expr.UNBOUNDED) {
      all.add(CharAutomaton.ofLength(one.minLength, one.maxLength, budget()));
    }
    CharAutomaton joint = null;
    for (CharAutomaton automaton : all) {
      joint = joint == null ? automaton : joint.and(automaton, budget());
    }
    return joint;
  }

  private Expr array(SchemaCase one) {
    int max = one.maxItems;
    if (max != Expr.UNBOUNDED && one.minItems > max) {
      return Expr.NEVER;
    }
    boolean unique = one.unique != null && (max == Expr.UNBOUNDED || max > 1);
    if (unique && one.unique != null && mode != Mode.SUPERSET) {
      throw SchemaDocument.unsupported(
          one.unique, "uniqueItems", "it can be kept with maxItems of at most 1 only");
    }
    int numPrefix = 0;
    for (SchemaCase.ArrayScope scope : one.arrays) {
      numPrefix = Math.max(numPrefix, scope.prefix().size());
    }
    if (numPrefix == 0) {
      return json.list("[", element(one, 0), one.minItems, max, "]");
    }
    return prefixed(one, max == Expr.UNBOUNDED ? numPrefix : Math.min(numPrefix, max));
  }

  private Expr element(SchemaCase one, int index) {
    List<Node> nodes = new ArrayList<>();
    for (SchemaCase.ArrayScope scope : one.arrays) {
      if (index < scope.prefix().size()) {
        nodes.add(scope.prefix().get(index));
      } else if (scope.items() != null) {
        nodes.add(scope.items());
      }
    }
    return nodes.isEmpty() ? json.value() : all(nodes);
  }

  /** An array whose first elements have schemas of their own. */
  private Expr prefixed(SchemaCase one, int numPrefix) {
    Expr end = Expr.seq(json.gap(), Expr.text("]"));
    int min = one.minItems;
    int max = one.maxItems;
    int more = max == Expr.UNBOUNDED ? max : max - numPrefix;
    Expr others =
        more == 0
            ? Expr.EMPTY
            : new Expr.Repeat(
                Expr.seq(json.comma(), element(one, Integer.MAX_VALUE)),
                Math.max(0, min - numPrefix),
                more);
    Expr rest = rules.add("items", Expr.seq(others, end));
    for (int i = numPrefix - 1; i > 0; i--) {
      Expr next = Expr.seq(json.comma(), element(one, i), rest);
      rest = rules.add("items", i >= min ? Expr.alt(end, next) : next);
    }
    Expr some = numPrefix == 0 ? Expr.NEVER : Expr.seq(json.gap(), element(one, 0), rest);
    Expr forms = min == 0 ? Expr.alt(Expr.text("]"), some) : some;
    return Expr.seq(Expr.text("["), forms);
  }
}
