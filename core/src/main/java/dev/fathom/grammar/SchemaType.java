package dev.fathom.grammar;

import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonNull;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import java.util.EnumSet;
import org.jspecify.annotations.Nullable;

/** The types of JSON values; whole numbers count as numbers. */
enum SchemaType {
  NULL,
  BOOLEAN,
  NUMBER,
  STRING,
  ARRAY,
  OBJECT;

  static EnumSet<SchemaType> all() {
    return EnumSet.allOf(SchemaType.class);
  }

  static SchemaType of(JsonValue value) {
    return switch (value) {
      case JsonNull ignored -> NULL;
      case JsonBoolean ignored -> BOOLEAN;
      case JsonNumber ignored -> NUMBER;
      case JsonString ignored -> STRING;
      case JsonArray ignored -> ARRAY;
      case JsonObject ignored -> OBJECT;
    };
  }

  /** Returns the type of a name, null for an unknown one. */
  static @Nullable SchemaType named(String name) {
    return switch (name) {
      case "null" -> NULL;
      case "boolean" -> BOOLEAN;
      case "number", "integer" -> NUMBER;
      case "string" -> STRING;
      case "array" -> ARRAY;
      case "object" -> OBJECT;
      default -> null;
    };
  }
}
