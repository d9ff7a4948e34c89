package dev.fathom.grammar;

import dev.fathom.grammar.SchemaDocument.Node;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Values that a schema names, and how they compare. */
final class SchemaValues {

  private SchemaValues() {}

  /** Returns whether two values are the same: numbers by value, objects in any order. */
  static boolean equal(JsonValue a, JsonValue b) {
    if (a instanceof JsonNumber x && b instanceof JsonNumber y) {
      return x.text().equals(y.text()) || small(x).compareTo(small(y)) == 0;
    }
    if (a instanceof JsonArray x && b instanceof JsonArray y) {
      boolean same = x.values().size() == y.values().size();
      for (int i = 0; same && i < x.values().size(); i++) {
        same = equal(x.values().get(i), y.values().get(i));
      }
      return same;
    }
    if (a instanceof JsonObject x && b instanceof JsonObject y) {
      boolean same = x.fields().keySet().equals(y.fields().keySet());
      for (Map.Entry<String, JsonValue> field : x.fields().entrySet()) {
        JsonValue other = y.get(field.getKey());
        same = same && other != null && equal(field.getValue(), other);
      }
      return same;
    }
    return a.equals(b);
  }

  /** Numbers are 100 characters at most, so that only an exponent can be large. */
  private static BigDecimal small(JsonNumber number) {
    BigDecimal value = number.decimalValue();
    return Math.abs((long) value.scale()) > 400 ? BigDecimal.valueOf(value.scale()) : value;
  }

  static Set<String> names(Node node, String keyword, JsonValue value) {
    if (!(value instanceof JsonArray array)) {
      throw SchemaDocument.invalid(node, keyword, "it must be an array of strings");
    }
    Set<String> names = new LinkedHashSet<>();
    for (JsonValue name : array.values()) {
      if (!(name instanceof JsonString string)) {
        throw SchemaDocument.invalid(node, keyword, "it must be an array of strings");
      }
      names.add(string.value());
    }
    return names;
  }

  /** Returns an expression that writes a value, with the white space that values have. */
  static Expr write(JsonValue value, JsonRules json) {
    return switch (value) {
      case JsonString string -> JsonRules.quotedText(string.value());
      case JsonObject object -> {
        List<Expr> parts = new ArrayList<>();
        object
            .fields()
            .forEach((name, field) -> {
              parts.add(parts.isEmpty() ? json.gap() : json.comma());
              parts.add(JsonRules.quotedText(name));
              parts.add(json.colon());
              parts.add(write(field, json));
            });
        yield bracketed("{", parts, "}", json);
      }
      case JsonArray array -> {
        List<Expr> parts = new ArrayList<>();
        for (JsonValue element : array.values()) {
          parts.add(parts.isEmpty() ? json.gap() : json.comma());
          parts.add(write(element, json));
        }
        yield bracketed("[", parts, "]", json);
      }
      default -> Expr.text(JsonWriter.compact(value));
    };
  }

  private static Expr bracketed(String open, List<Expr> parts, String close, JsonRules json) {
    List<Expr> all = new ArrayList<>();
    all.add(Expr.text(open));
    all.addAll(parts);
    all.add(parts.isEmpty() ? Expr.EMPTY : json.gap());
    all.add(Expr.text(close));
    return new Expr.Seq(all);
  }
}
