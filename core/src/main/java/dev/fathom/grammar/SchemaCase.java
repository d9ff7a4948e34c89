package dev.fathom.grammar;

import dev.fathom.grammar.SchemaDocument.Node;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One way to satisfy a set of schemas: their assertions without alternatives, all of which must
 * hold. Collected from the keywords of schema after schema; counts and bounds are merged at once,
 * objects and arrays keep each schema's keywords apart, because these speak of each other.
 */
final class SchemaCase {

  /** What a schema says of an object's properties. */
  record ObjectScope(
      Node node,
      Map<String, Node> properties,
      Map<String, Node> patterns,
      @Nullable Node additional,
      @Nullable Node names) {}

  /** What a schema says of an array's elements. */
  record ArrayScope(List<Node> prefix, @Nullable Node items) {}

  final List<Node> nodes = new ArrayList<>();
  final EnumSet<SchemaType> types = SchemaType.all();
  NumberSpec numbers = NumberSpec.ANY;
  @Nullable List<JsonValue> values;
  int minLength;
  int maxLength = Expr.UNBOUNDED;
  final List<Expr> patterns = new ArrayList<>();
  final List<Expr> formats = new ArrayList<>();
  final List<ObjectScope> objects = new ArrayList<>();
  final List<String> required = new ArrayList<>();
  int minProperties;
  int maxProperties = Expr.UNBOUNDED;
  boolean closed;
  final List<ArrayScope> arrays = new ArrayList<>();
  int minItems;
  int maxItems = Expr.UNBOUNDED;
  @Nullable Node unique;

  private final SchemaDocument document;

  SchemaCase(SchemaDocument document) {
    this.document = document;
  }

  /** Takes the assertions of a schema. */
  void add(Node node, JsonObject schema) {
    nodes.add(node);
    type(node, schema);
    values(node, schema);
    numbers(node, schema);
    strings(node, schema);
    objects(node, schema);
    arrays(node, schema);
  }

  private void type(Node node, JsonObject schema) {
    JsonValue value = schema.get("type");
    if (value == null) {
      return;
    }
    List<JsonValue> names = value instanceof JsonArray array ? array.values() : List.of(value);
    EnumSet<SchemaType> named = EnumSet.noneOf(SchemaType.class);
    boolean integer = false;
    boolean number = false;
    for (JsonValue name : names) {
      SchemaType type = name instanceof JsonString s ? SchemaType.named(s.value()) : null;
      if (type == null) {
        throw SchemaDocument.invalid(node, "type", "it must name types of JSON");
      }
      named.add(type);
      integer |= name instanceof JsonString s && s.value().equals("integer");
      number |= name instanceof JsonString s && s.value().equals("number");
    }
    types.retainAll(named);
    if (integer && !number) {
      numbers = numbers.integers();
    }
  }

  private void values(Node node, JsonObject schema) {
    JsonValue one = schema.get("const");
    if (one != null) {
      retain(List.of(one));
    }
    JsonValue several = schema.get("enum");
    if (several != null) {
      if (!(several instanceof JsonArray array)) {
        throw SchemaDocument.invalid(node, "enum", "it must be an array");
      }
      retain(array.values());
    }
  }

  private void retain(List<JsonValue> allowed) {
    List<JsonValue> before = values;
    values =
        before == null
            ? allowed
            : before.stream()
                .filter(v -> allowed.stream().anyMatch(a -> SchemaValues.equal(a, v)))
                .toList();
  }

  private void numbers(Node node, JsonObject schema) {
    BigDecimal low = bound(node, schema, "minimum");
    BigDecimal above = bound(node, schema, "exclusiveMinimum");
    BigDecimal high = bound(node, schema, "maximum");
    BigDecimal below = bound(node, schema, "exclusiveMaximum");
    BigDecimal divisor = bound(node, schema, "multipleOf");
    numbers = low == null ? numbers : numbers.atLeast(low, true);
    numbers = above == null ? numbers : numbers.atLeast(above, false);
    numbers = high == null ? numbers : numbers.atMost(high, true);
    numbers = below == null ? numbers : numbers.atMost(below, false);
    if (divisor != null) {
      if (divisor.signum() <= 0) {
        throw SchemaDocument.invalid(node, "multipleOf", "it must be above 0");
      }
      numbers = numbers.multipleOf(divisor);
      numbers = numbers.integer() ? numbers.integers() : numbers;
      if (numbers.multipleOf() != null && numbers.multipleOf().unscaledValue().bitLength() > 20) {
        throw SchemaDocument.unsupported(
            node, "multipleOf", "it must be at most 1,000,000 without its decimal point");
      }
    }
  }

  private @Nullable BigDecimal bound(Node node, JsonObject schema, String keyword) {
    JsonValue value = schema.get(keyword);
    if (value == null) {
      return null;
    }
    if (!(value instanceof JsonNumber number)) {
      throw SchemaDocument.invalid(node, keyword, "it must be a number");
    }
    return document.decimal(node, keyword, number);
  }

  private void strings(Node node, JsonObject schema) {
    minLength = Math.max(minLength, document.count(node, schema, "minLength", 0));
    maxLength = least(maxLength, document.count(node, schema, "maxLength", Expr.UNBOUNDED));
    String pattern = text(node, schema, "pattern");
    if (pattern != null) {
      patterns.add(SchemaPatterns.parse(node, "pattern", pattern));
    }
    String format = text(node, schema, "format");
    if (format != null) {
      if (StringFormats.isRefused(format)) {
        throw SchemaDocument.unsupported(node, "format", "this format cannot be enforced");
      }
      String expression = StringFormats.pattern(format);
      if (expression != null) {
        formats.add(RegexParser.parse(expression));
      }
    }
  }

  private static @Nullable String text(Node node, JsonObject schema, String keyword) {
    JsonValue value = schema.get(keyword);
    if (value == null) {
      return null;
    }
    if (!(value instanceof JsonString string)) {
      throw SchemaDocument.invalid(node, keyword, "it must be a string");
    }
    return string.value();
  }

  /** The smaller of two upper bounds. */
  static int least(int a, int b) {
    if (a == Expr.UNBOUNDED || b == Expr.UNBOUNDED) {
      return Math.max(a, b);
    }
    return Math.min(a, b);
  }

  private void objects(Node node, JsonObject schema) {
    minProperties = Math.max(minProperties, document.count(node, schema, "minProperties", 0));
    maxProperties =
        least(maxProperties, document.count(node, schema, "maxProperties", Expr.UNBOUNDED));
    JsonValue names = schema.get("required");
    if (names != null) {
      required.addAll(SchemaValues.names(node, "required", names));
    }
    Map<String, Node> properties = schemas(node, schema, "properties");
    Map<String, Node> byPattern = schemas(node, schema, "patternProperties");
    Node additional = child(node, schema, "additionalProperties");
    Node propertyNames = child(node, schema, "propertyNames");
    boolean speaks =
        !properties.isEmpty()
            || !byPattern.isEmpty()
            || additional != null
            || propertyNames != null;
    if (speaks) {
      objects.add(new ObjectScope(node, properties, byPattern, additional, propertyNames));
    }
  }

  private static Map<String, Node> schemas(Node node, JsonObject schema, String keyword) {
    JsonValue value = schema.get(keyword);
    if (value == null) {
      return Map.of();
    }
    if (!(value instanceof JsonObject object)) {
      throw SchemaDocument.invalid(node, keyword, "it must be an object of schemas");
    }
    Map<String, Node> found = new LinkedHashMap<>();
    Node parent = node.child(keyword, value);
    object.fields().forEach((name, child) -> found.put(name, parent.child(name, child)));
    return found;
  }

  private static @Nullable Node child(Node node, JsonObject schema, String keyword) {
    JsonValue value = schema.get(keyword);
    return value == null ? null : node.child(keyword, value);
  }

  private void arrays(Node node, JsonObject schema) {
    minItems = Math.max(minItems, document.count(node, schema, "minItems", 0));
    maxItems = least(maxItems, document.count(node, schema, "maxItems", Expr.UNBOUNDED));
    JsonValue prefix = schema.get("prefixItems");
    List<Node> first = prefix == null ? List.of() : document.list(node, "prefixItems", prefix);
    JsonValue items = schema.get("items");
    if (items instanceof JsonArray) {
      throw SchemaDocument.unsupported(
          node, "items", "an array of schemas is called prefixItems since 2020-12");
    }
    if (!first.isEmpty() || items != null) {
      arrays.add(new ArrayScope(first, child(node, schema, "items")));
    }
    if (schema.get("uniqueItems") instanceof JsonBoolean b && b.value()) {
      unique = node;
    }
  }
}
