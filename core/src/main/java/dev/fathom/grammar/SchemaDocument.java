package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.Text;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A JSON Schema document: its subschemas by JSON pointer, what references mean, and which keywords
 * are known.
 */
final class SchemaDocument {

  /** A subschema and where it stands. Two with the same pointer are the same. */
  record Node(JsonValue value, String pointer) {

    Node child(String key, JsonValue at) {
      return new Node(at, pointer + "/" + key.replace("~", "~0").replace("/", "~1"));
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Node node && node.pointer.equals(pointer);
    }

    @Override
    public int hashCode() {
      return pointer.hashCode();
    }
  }

  private static final JsonLimits LIMITS = new JsonLimits(128, 100);

  private static final Set<String> DIALECTS =
      Set.of(
          "https://json-schema.org/draft/2020-12/schema",
          "https://json-schema.org/draft/2019-09/schema",
          "http://json-schema.org/draft-07/schema",
          "http://json-schema.org/draft-06/schema",
          "http://json-schema.org/schema");

  /** Keywords that mean something which cannot be promised. */
  private static final Set<String> REFUSED =
      Set.of(
          "not",
          "if",
          "contains",
          "unevaluatedItems",
          "$dynamicRef",
          "$recursiveRef",
          "dependencies",
          "additionalItems",
          "$vocabulary");

  private final Node root;
  private final Map<String, Node> anchors = new HashMap<>();
  private @Nullable String rootId;

  private SchemaDocument(Node root) {
    this.root = root;
  }

  /**
   * Reads a document.
   *
   * @throws InvalidRequestException (5002) if it is no JSON or no schema
   */
  static SchemaDocument parse(String json) {
    Budget.checkSource(json);
    JsonValue value;
    try {
      value = Json.parse(json, LIMITS);
    } catch (JsonException e) {
      throw new InvalidRequestException(
          ErrorCode.GRAMMAR_INVALID,
          "The JSON schema is not JSON",
          e.rule() + " at byte " + e.offset(),
          "pass a JSON document whose root is an object");
    }
    SchemaDocument document = new SchemaDocument(new Node(value, "#"));
    document.readRoot();
    return document;
  }

  private void readRoot() {
    JsonObject object = requireSchema(root);
    if (object == null) {
      return;
    }
    String dialect = object.string("$schema");
    if (dialect != null) {
      String bare = dialect.endsWith("#") ? dialect.substring(0, dialect.length() - 1) : dialect;
      if (!DIALECTS.contains(bare)) {
        throw unsupported(root, "$schema", "the dialect " + Text.quote(dialect) + " is not known");
      }
    }
    rootId = object.string("$id");
    findAnchors(root);
  }

  /** Walks the document for names of subschemas; wherever a keyword could stand. */
  private void findAnchors(Node node) {
    switch (node.value()) {
      case JsonObject object -> {
        boolean isData = node.pointer().endsWith("/enum") || node.pointer().endsWith("/const");
        String anchor = isData ? null : object.string("$anchor");
        if (anchor != null) {
          anchors.put("#" + anchor, node);
        }
        if (!isData && !node.equals(root) && object.get("$id") instanceof JsonString) {
          anchors.put("", node);
        }
        object.fields().forEach((key, value) -> findAnchors(node.child(key, value)));
      }
      case JsonArray array -> {
        List<JsonValue> values = array.values();
        for (int i = 0; i < values.size(); i++) {
          findAnchors(node.child(Integer.toString(i), values.get(i)));
        }
      }
      default -> {}
    }
  }

  Node root() {
    return root;
  }

  /** Returns the object of a schema, null for {@code true}; {@code false} is the caller's. */
  @Nullable JsonObject requireSchema(Node node) {
    return switch (node.value()) {
      case JsonObject object -> object;
      case JsonBoolean ignored -> null;
      default -> throw invalid(node, "", "a schema must be an object or a boolean");
    };
  }

  /** Checks that all keywords of a schema are ones that can be kept. */
  void checkKeywords(Node node, JsonObject schema) {
    for (String keyword : schema.fields().keySet()) {
      if (REFUSED.contains(keyword)) {
        throw unsupported(node, keyword, "it cannot be turned into a grammar");
      }
    }
  }

  /** Returns what a reference means. */
  Node resolve(Node from, String reference) {
    String local = reference;
    if (rootId != null && !rootId.isEmpty() && local.startsWith(rootId)) {
      local = local.substring(rootId.length());
      local = local.isEmpty() ? "#" : local;
    }
    if (!local.startsWith("#")) {
      throw unsupported(
          from, "$ref", Text.quote(reference) + " leads out of the document, nothing is fetched");
    }
    if (anchors.containsKey("")) {
      throw unsupported(from, "$ref", "a subschema has an $id of its own");
    }
    if (local.equals("#")) {
      return root;
    }
    Node target = local.startsWith("#/") ? at(local) : anchors.get(local);
    if (target == null) {
      throw invalid(from, "$ref", Text.quote(reference) + " must lead to a schema");
    }
    return target;
  }

  private @Nullable Node at(String pointer) {
    Node node = root;
    int at = 2;
    while (at <= pointer.length()) {
      int slash = pointer.indexOf('/', at);
      int end = slash < 0 ? pointer.length() : slash;
      String key = percentDecoded(pointer.substring(at, end)).replace("~1", "/").replace("~0", "~");
      JsonValue child =
          switch (node.value()) {
            case JsonObject object -> object.get(key);
            case JsonArray array -> element(array, key);
            default -> null;
          };
      if (child == null) {
        return null;
      }
      node = node.child(key, child);
      at = end + 1;
    }
    return node;
  }

  private static @Nullable JsonValue element(JsonArray array, String key) {
    for (int i = 0; i < array.values().size(); i++) {
      if (Integer.toString(i).equals(key)) {
        return array.values().get(i);
      }
    }
    return null;
  }

  private static String percentDecoded(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    byte[] out = new byte[bytes.length];
    int len = 0;
    for (int i = 0; i < bytes.length; i++) {
      boolean escape =
          bytes[i] == '%'
              && i + 2 < bytes.length
              && Character.digit(bytes[i + 1], 16) >= 0
              && Character.digit(bytes[i + 2], 16) >= 0;
      if (escape) {
        out[len++] =
            (byte) (Character.digit(bytes[i + 1], 16) * 16 + Character.digit(bytes[i + 2], 16));
        i += 2;
      } else {
        out[len++] = bytes[i];
      }
    }
    return new String(out, 0, len, StandardCharsets.UTF_8);
  }

  /** Returns the subschemas of an array keyword. */
  List<Node> list(Node node, String keyword, JsonValue value) {
    if (!(value instanceof JsonArray array)
        || (array.values().isEmpty() && !keyword.equals("prefixItems"))) {
      throw invalid(node, keyword, "it must be an array of at least one schema");
    }
    List<Node> nodes = new ArrayList<>();
    Node parent = node.child(keyword, value);
    for (int i = 0; i < array.values().size(); i++) {
      nodes.add(parent.child(Integer.toString(i), array.values().get(i)));
    }
    return nodes;
  }

  /** Returns a count, or the default where the keyword is missing. */
  int count(Node node, JsonObject schema, String keyword, int otherwise) {
    JsonValue value = schema.get(keyword);
    if (value == null) {
      return otherwise;
    }
    BigDecimal number = value instanceof JsonNumber n ? decimal(node, keyword, n) : null;
    if (number == null || number.signum() < 0 || number.remainder(BigDecimal.ONE).signum() != 0) {
      throw invalid(node, keyword, "it must be a whole number >= 0");
    }
    boolean huge = number.compareTo(BigDecimal.valueOf(Integer.MAX_VALUE / 2)) > 0;
    return huge ? Integer.MAX_VALUE / 2 : number.intValueExact();
  }

  /** Returns a number without letting its exponent ask for memory. */
  BigDecimal decimal(Node node, String keyword, JsonNumber number) {
    BigDecimal value = number.decimalValue();
    if (Math.abs((long) value.scale()) > 60 || value.precision() > 60) {
      throw unsupported(node, keyword, "numbers must have at most 60 digits");
    }
    return value;
  }

  static InvalidRequestException unsupported(Node node, String keyword, String why) {
    return new InvalidRequestException(
        ErrorCode.GRAMMAR_UNSUPPORTED,
        "The JSON schema cannot be enforced",
        Text.quote(keyword) + " at " + Text.quote(node.pointer()) + ": " + why,
        "leave the keyword out or write it otherwise; docs/structured-output.md lists what can be"
            + " enforced");
  }

  static InvalidRequestException invalid(Node node, String keyword, String why) {
    String where = keyword.isEmpty() ? "" : Text.quote(keyword) + " ";
    return new InvalidRequestException(
        ErrorCode.GRAMMAR_INVALID,
        "The JSON schema is malformed",
        where + "at " + Text.quote(node.pointer()) + ": " + why,
        "correct the schema");
  }
}
