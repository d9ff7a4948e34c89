package dev.fathom.grammar;

import dev.fathom.grammar.SchemaCompiler.Mode;
import dev.fathom.grammar.SchemaDocument.Node;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonString;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Writes the objects of a {@link SchemaCase}: declared properties in their order, those that are
 * not required may be left out; then others, by the patterns that their names match.
 *
 * <p>Names of other properties may repeat: no grammar can forbid that, and JSON does not.
 */
final class SchemaObjects {

  private static final int MAX_PATTERNS = 3;
  private static final int MAX_COUNTED = 5_000;

  private final SchemaCompiler compiler;
  private final SchemaCase one;
  private final JsonRules json;
  private final ObjectForm form;

  /** A declared property: its text with name and colon, and whether it must come. */
  private record Property(Expr pair, boolean required) {}

  SchemaObjects(SchemaCompiler compiler, SchemaCase one, ObjectForm form) {
    this.compiler = compiler;
    this.one = one;
    this.json = compiler.json;
    this.form = form;
  }

  Expr expression() {
    boolean free =
        one.objects.isEmpty()
            && one.required.isEmpty()
            && one.minProperties == 0
            && one.maxProperties == Expr.UNBOUNDED
            && !one.closed;
    return free && form.allowsOthers() ? json.object() : written();
  }

  private Expr written() {
    Set<String> names = new LinkedHashSet<>();
    one.objects.forEach(scope -> names.addAll(scope.properties().keySet()));
    names.addAll(one.required);
    List<Property> properties = new ArrayList<>();
    int numRequired = 0;
    for (String name : names) {
      boolean required = one.required.contains(name);
      List<Node> schemas = schemasOf(name);
      boolean forbidden =
          schemas.stream().anyMatch(SchemaObjects::isFalse)
              || (one.closed && schemas.isEmpty())
              || !mayBeNamed(name);
      if (forbidden && required) {
        return Expr.NEVER;
      }
      if (!forbidden) {
        properties.add(new Property(form.pair(name, schemas), required));
        numRequired += required ? 1 : 0;
      }
    }
    Expr others = form.allowsOthers() ? others(names) : Expr.NEVER;
    boolean bounds = compiler.mode != Mode.SUPERSET;
    boolean counted =
        (bounds && one.minProperties > numRequired)
            || (bounds
                && one.maxProperties != Expr.UNBOUNDED
                && (!others.equals(Expr.NEVER) || one.maxProperties < properties.size()));
    return counted ? counted(properties, others) : chained(properties, others);
  }

  private static boolean isFalse(Node node) {
    return node.value() instanceof JsonBoolean truth && !truth.value();
  }

  private List<Node> schemasOf(String name) {
    List<Node> schemas = new ArrayList<>();
    for (SchemaCase.ObjectScope scope : one.objects) {
      List<Node> own = new ArrayList<>();
      Node declared = scope.properties().get(name);
      if (declared != null) {
        own.add(declared);
      }
      scope
          .patterns()
          .forEach((pattern, schema) -> {
            if (found(scope.node(), pattern).matches(name)) {
              own.add(schema);
            }
          });
      if (own.isEmpty() && scope.additional() != null) {
        own.add(scope.additional());
      }
      schemas.addAll(own);
    }
    return schemas;
  }

  private CharAutomaton found(Node node, String pattern) {
    Expr parsed = SchemaPatterns.parse(node, "patternProperties", pattern);
    return Patterns.automaton(parsed, true, compiler.budget());
  }

  private boolean mayBeNamed(String name) {
    for (SchemaCase.ObjectScope scope : one.objects) {
      if (scope.names() != null
          && compiler.cases(List.of(scope.names())).stream().noneMatch(c -> isNamed(c, name))) {
        return false;
      }
    }
    return true;
  }

  private boolean isNamed(SchemaCase names, String name) {
    boolean listed =
        names.values == null
            || names.values.stream()
                .anyMatch(v -> v instanceof JsonString s && s.value().equals(name));
    return listed && names.types.contains(SchemaType.STRING) && compiler.matches(names, name);
  }

  /** Returns a property that is not declared, {@link Expr#NEVER} if there must be none. */
  private Expr others(Set<String> declared) {
    Map<String, CharAutomaton> patterns = new LinkedHashMap<>();
    for (SchemaCase.ObjectScope scope : one.objects) {
      for (String pattern : scope.patterns().keySet()) {
        patterns.computeIfAbsent(pattern, p -> found(scope.node(), p));
      }
      if (patterns.size() > MAX_PATTERNS) {
        throw SchemaDocument.unsupported(
            scope.node(), "patternProperties", "there must be at most " + MAX_PATTERNS);
      }
    }
    List<String> order = List.copyOf(patterns.keySet());
    List<Expr> pairs = new ArrayList<>();
    for (int subset = 0; subset < 1 << order.size(); subset++) {
      Set<String> matching = new LinkedHashSet<>();
      for (int i = 0; i < order.size(); i++) {
        if ((subset >> i & 1) != 0) {
          matching.add(order.get(i));
        }
      }
      List<Node> schemas = schemasOf(matching);
      boolean wanted = subset != 0 || mayHaveOthers(declared, patterns.isEmpty());
      if (wanted && schemas.stream().noneMatch(SchemaObjects::isFalse)) {
        Expr name = name(declared, patterns, matching);
        Expr value = schemas.isEmpty() ? json.value() : compiler.all(schemas);
        pairs.add(Expr.seq(name, json.colon(), value));
      }
    }
    return pairs.isEmpty() ? Expr.NEVER : new Expr.Alt(pairs);
  }

  private boolean mayHaveOthers(Set<String> declared, boolean withoutPatterns) {
    if (one.closed && compiler.mode != Mode.SUPERSET) {
      return false;
    }
    boolean said = one.objects.stream().anyMatch(scope -> scope.additional() != null);
    return said || compiler.mode != Mode.CLOSED || (declared.isEmpty() && withoutPatterns);
  }

  private List<Node> schemasOf(Set<String> matching) {
    List<Node> schemas = new ArrayList<>();
    for (SchemaCase.ObjectScope scope : one.objects) {
      List<Node> own = new ArrayList<>();
      scope
          .patterns()
          .forEach((pattern, schema) -> {
            if (matching.contains(pattern)) {
              own.add(schema);
            }
          });
      if (own.isEmpty() && scope.additional() != null) {
        own.add(scope.additional());
      }
      schemas.addAll(own);
    }
    return schemas;
  }

  private Expr name(
      Set<String> declared, Map<String, CharAutomaton> patterns, Set<String> matching) {
    Budget budget = compiler.budget();
    CharAutomaton names = null;
    if (!declared.isEmpty()) {
      names = CharAutomaton.of(List.copyOf(declared), budget).complement();
    }
    for (Map.Entry<String, CharAutomaton> pattern : patterns.entrySet()) {
      boolean matches = matching.contains(pattern.getKey());
      CharAutomaton own = matches ? pattern.getValue() : pattern.getValue().complement();
      names = names == null ? own : names.and(own, budget);
    }
    for (SchemaCase.ObjectScope scope : one.objects) {
      CharAutomaton own = scope.names() == null ? null : ofNames(scope.names());
      names = own == null ? names : names == null ? own : names.and(own, budget);
    }
    return names == null
        ? json.string()
        : JsonRules.quoted(new Expr.JsonEscaped(new Expr.Automaton(names.trimmed())));
  }

  private @Nullable CharAutomaton ofNames(Node schema) {
    Budget budget = compiler.budget();
    List<SchemaCase> cases = compiler.cases(List.of(schema));
    List<SchemaCase> strings =
        cases.stream().filter(c -> c.types.contains(SchemaType.STRING)).toList();
    if (strings.size() > 1) {
      throw SchemaDocument.unsupported(schema, "propertyNames", "alternatives are not supported");
    }
    if (strings.isEmpty()) {
      return CharAutomaton.of(List.of(), budget);
    }
    SchemaCase names = strings.getFirst();
    if (names.values == null) {
      return compiler.automaton(names);
    }
    List<String> listed = new ArrayList<>();
    names.values.forEach(value -> {
      if (value instanceof JsonString s && compiler.matches(names, s.value())) {
        listed.add(s.value());
      }
    });
    return CharAutomaton.of(listed, budget);
  }

  /**
   * Properties in order. Rule {@code more i} stands behind a property, with those from i on left;
   * rule {@code first i} stands where there was none.
   */
  private Expr chained(List<Property> properties, Expr others) {
    Expr end = form.end();
    boolean open = !others.equals(Expr.NEVER);
    Expr rest = open ? Expr.any(Expr.seq(form.comma(), others)) : Expr.EMPTY;
    Expr more = compiler.rules.add("more", Expr.seq(rest, end));
    Expr first = form.emptyEnd();
    if (open) {
      first = Expr.alt(first, Expr.seq(form.inside(), others, more));
    }
    for (int i = properties.size() - 1; i >= 0; i--) {
      Property property = properties.get(i);
      Expr begin = Expr.seq(form.inside(), property.pair(), more);
      Expr next = Expr.seq(form.comma(), property.pair(), more);
      boolean required = property.required();
      first = required ? begin : compiler.rules.add("first", Expr.alt(begin, first));
      more = required ? next : Expr.alt(next, more);
      more = compiler.rules.add("more", more);
    }
    return Expr.seq(form.begin(), first);
  }

  /** As {@link #chained}, with the number of properties so far: others count for the maximum. */
  private Expr counted(List<Property> properties, Expr others) {
    int n = properties.size();
    int max = one.maxProperties == Expr.UNBOUNDED ? -1 : one.maxProperties;
    int cap = max >= 0 ? Math.min(max, n + MAX_COUNTED) : Math.max(one.minProperties, 0);
    if ((long) (n + 1) * (cap + 1) > MAX_COUNTED) {
      throw SchemaDocument.unsupported(
          one.nodes.getFirst(),
          max >= 0 ? "maxProperties" : "minProperties",
          "there are too many properties to be counted");
    }
    // Declared properties alone reach the minimum: names of others may repeat.
    Expr[] more = new Expr[cap + 1];
    Expr end = form.end();
    for (int count = cap; count >= 0; count--) {
      boolean enough = count >= one.minProperties;
      List<Expr> forms = new ArrayList<>();
      if (enough) {
        forms.add(end);
        if (!others.equals(Expr.NEVER) && (max < 0 || count < max)) {
          Expr then = max < 0 ? null : more[count + 1];
          Expr pair = Expr.seq(form.comma(), others);
          forms.add(then == null ? Expr.seq(pair, Expr.any(pair), end) : Expr.seq(pair, then));
        }
      }
      more[count] = compiler.rules.add("more", new Expr.Alt(forms));
    }
    Expr first = one.minProperties == 0 ? form.emptyEnd() : Expr.NEVER;
    if (!others.equals(Expr.NEVER) && max != 0 && one.minProperties == 0) {
      Expr tail = max < 0 ? Expr.seq(Expr.any(Expr.seq(form.comma(), others)), end) : more[1];
      first = Expr.alt(first, Expr.seq(form.inside(), others, tail));
    }
    for (int i = n - 1; i >= 0; i--) {
      Property property = properties.get(i);
      Expr[] next = new Expr[cap + 1];
      for (int count = 0; count <= cap; count++) {
        int after = max < 0 ? Math.min(count + 1, cap) : count + 1;
        Expr taken =
            after > cap ? Expr.NEVER : Expr.seq(form.comma(), property.pair(), more[after]);
        Expr form = property.required() ? taken : Expr.alt(taken, more[count]);
        next[count] = compiler.rules.add("more", form);
      }
      int first1 = max < 0 ? Math.min(1, cap) : 1;
      Expr begin =
          first1 > cap ? Expr.NEVER : Expr.seq(form.inside(), property.pair(), more[first1]);
      first = property.required() ? begin : compiler.rules.add("first", Expr.alt(begin, first));
      more = next;
    }
    return Expr.seq(form.begin(), first);
  }
}
