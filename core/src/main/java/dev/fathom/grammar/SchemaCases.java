package dev.fathom.grammar;

import dev.fathom.grammar.SchemaDocument.Node;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Resolves the keywords that combine schemas: {@code $ref} and {@code allOf} join, {@code anyOf},
 * {@code oneOf} and {@code dependentRequired} branch. What comes out are {@link SchemaCase}s.
 */
final class SchemaCases {

  /** Most cases of one set of schemas; more would come of products of alternatives only. */
  private static final int MAX_CASES = 4096;

  /** Says whether the alternatives of a {@code oneOf} exclude each other. */
  @FunctionalInterface
  interface Exclusion {
    boolean excludes(List<Node> joint);
  }

  private final SchemaDocument document;
  private final Budget budget;
  private final Exclusion exclusion;
  private final List<SchemaCase> found = new ArrayList<>();
  private List<Node> asked = List.of();

  SchemaCases(SchemaDocument document, Budget budget, Exclusion exclusion) {
    this.document = document;
    this.budget = budget;
    this.exclusion = exclusion;
  }

  /** What is being collected: schemas taken, schemas to look at, choices to be made. */
  private record Progress(
      List<Node> taken, Set<Node> seen, Deque<Node> open, Deque<List<List<Node>>> choices) {

    Progress copy() {
      return new Progress(
          new ArrayList<>(taken),
          new HashSet<>(seen),
          new ArrayDeque<>(open),
          new ArrayDeque<>(choices));
    }
  }

  /** Returns the cases of schemas that must all hold; none if they contradict each other. */
  List<SchemaCase> of(List<Node> nodes) {
    asked = nodes;
    collect(
        new Progress(
            new ArrayList<>(), new HashSet<>(), new ArrayDeque<>(nodes), new ArrayDeque<>()));
    return found;
  }

  private void collect(Progress at) {
    while (!at.open().isEmpty()) {
      budget.work();
      Node node = at.open().removeFirst();
      if (!at.seen().add(node)) {
        continue;
      }
      JsonObject schema = document.requireSchema(node);
      if (node.value() instanceof JsonBoolean truth) {
        if (!truth.value()) {
          return;
        }
      } else if (schema != null) {
        document.checkKeywords(node, schema);
        at.taken().add(node);
        joined(node, schema, at);
        choices(node, schema, at);
      }
    }
    List<List<Node>> choice = at.choices().pollFirst();
    if (choice == null) {
      finish(at.taken());
      return;
    }
    for (List<Node> branch : choice) {
      Progress copy = at.copy();
      branch.forEach(copy.open()::add);
      collect(copy);
    }
  }

  private void joined(Node node, JsonObject schema, Progress at) {
    JsonValue reference = schema.get("$ref");
    if (reference != null) {
      if (!(reference instanceof JsonString target)) {
        throw SchemaDocument.invalid(node, "$ref", "it must be a string");
      }
      at.open().add(document.resolve(node, target.value()));
    }
    JsonValue all = schema.get("allOf");
    if (all != null) {
      document.list(node, "allOf", all).forEach(at.open()::add);
    }
  }

  private void choices(Node node, JsonObject schema, Progress at) {
    JsonValue any = schema.get("anyOf");
    if (any != null) {
      at.choices().add(document.list(node, "anyOf", any).stream().map(List::of).toList());
    }
    JsonValue one = schema.get("oneOf");
    if (one != null) {
      List<Node> branches = document.list(node, "oneOf", one);
      requireExclusion(node, schema, branches);
      at.choices().add(branches.stream().map(List::of).toList());
    }
    dependencies(node, schema, "dependentRequired", at);
    dependencies(node, schema, "dependentSchemas", at);
  }

  /** The siblings of the keyword count: they may be what makes the branches exclusive. */
  private void requireExclusion(Node node, JsonObject schema, List<Node> branches) {
    Map<String, JsonValue> rest = new LinkedHashMap<>(schema.fields());
    rest.keySet().removeAll(Set.of("oneOf", "anyOf", "dependentRequired", "dependentSchemas"));
    Node siblings = new Node(JsonObject.of(rest), node.pointer() + "/(oneOf)");
    for (int i = 0; i < branches.size(); i++) {
      for (int j = i + 1; j < branches.size(); j++) {
        budget.work();
        if (!exclusion.excludes(List.of(siblings, branches.get(i), branches.get(j)))) {
          throw SchemaDocument.unsupported(
              node,
              "oneOf",
              "its branches "
                  + i
                  + " and "
                  + j
                  + " may both match the same value; use anyOf, or make them exclude each other");
        }
      }
    }
  }

  private void dependencies(Node node, JsonObject schema, String keyword, Progress at) {
    JsonValue value = schema.get(keyword);
    if (value == null) {
      return;
    }
    if (!(value instanceof JsonObject object)) {
      throw SchemaDocument.invalid(node, keyword, "it must be an object");
    }
    Node parent = node.child(keyword, value);
    object
        .fields()
        .forEach((name, dependent) -> {
          Node own = parent.child(name, dependent);
          JsonObject absent =
              JsonObject.of(
                  Map.of("properties", JsonObject.of(Map.of(name, new JsonBoolean(false)))));
          List<JsonValue> names = new ArrayList<>();
          names.add(new JsonString(name));
          if (keyword.equals("dependentRequired")) {
            SchemaValues.names(own, keyword, dependent).stream()
                .map(JsonString::new)
                .forEach(names::add);
          }
          JsonObject present = JsonObject.of(Map.of("required", new JsonArray(names)));
          List<Node> with = new ArrayList<>();
          with.add(new Node(present, own.pointer() + "/(present)"));
          if (keyword.equals("dependentSchemas")) {
            with.add(own);
          }
          Node without = new Node(absent, own.pointer() + "/(absent)");
          at.choices().add(List.of(List.of(without), with));
        });
  }

  private void finish(List<Node> taken) {
    if (found.size() >= MAX_CASES) {
      throw SchemaDocument.unsupported(
          taken.getFirst(), "anyOf", "alternatives multiply to more than " + MAX_CASES);
    }
    SchemaCase one = new SchemaCase(document);
    for (Node node : taken) {
      JsonObject schema = document.requireSchema(node);
      if (schema != null) {
        one.add(node, schema);
        closing(node, schema, one);
      }
    }
    found.add(one);
  }

  private void closing(Node node, JsonObject schema, SchemaCase one) {
    JsonValue unevaluated = schema.get("unevaluatedProperties");
    if (unevaluated == null || isTrue(unevaluated)) {
      return;
    }
    boolean all = asked.size() == 1 && asked.getFirst().equals(node);
    if (!all || !(unevaluated instanceof JsonBoolean)) {
      throw SchemaDocument.unsupported(
          node, "unevaluatedProperties", "only false is supported, on a schema of its own");
    }
    one.closed = true;
  }

  private static boolean isTrue(@Nullable JsonValue value) {
    return value instanceof JsonBoolean b && b.value();
  }
}
