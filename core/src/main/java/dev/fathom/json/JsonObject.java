package dev.fathom.json;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A JSON object; keeps the order of its fields. Two objects are equal whatever their order. */
public final class JsonObject implements JsonValue {
  /** The object without fields. */
  public static final JsonObject EMPTY = new JsonObject(new LinkedHashMap<>());

  private final Map<String, JsonValue> fields;

  /** Takes over the map: the caller must not keep it. */
  JsonObject(LinkedHashMap<String, JsonValue> fields) {
    this.fields = Collections.unmodifiableMap(fields);
  }

  /** An object with the fields of the map, in its iteration order; copied. */
  public static JsonObject of(Map<String, ? extends JsonValue> fields) {
    return new JsonObject(new LinkedHashMap<>(fields));
  }

  /** Starts an empty object that is to be written. */
  public static Builder builder() {
    return new Builder();
  }

  /** The fields in document order; unmodifiable. */
  public Map<String, JsonValue> fields() {
    return fields;
  }

  /** The value of a field, or null if there is no such field (a JSON null is {@link JsonNull}). */
  public @Nullable JsonValue get(String name) {
    return fields.get(name);
  }

  /** Whether the field exists, even as JSON null. */
  public boolean has(String name) {
    return fields.containsKey(name);
  }

  /** The text of a string field, or null if it is missing or not a string. */
  public @Nullable String string(String name) {
    return fields.get(name) instanceof JsonString s ? s.value() : null;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof JsonObject o && fields.equals(o.fields);
  }

  @Override
  public int hashCode() {
    return fields.hashCode();
  }

  /** The compact JSON text. */
  @Override
  public String toString() {
    return JsonWriter.compact(this);
  }

  /** Collects fields in order; a second put of a name replaces the value and keeps the place. */
  public static final class Builder {
    private LinkedHashMap<String, JsonValue> fields = new LinkedHashMap<>();

    private Builder() {}

    /** Adds a field. */
    public Builder put(String name, JsonValue value) {
      fields.put(name, value);
      return this;
    }

    /** Adds a string field, or JSON null if the text is null. */
    public Builder put(String name, @Nullable String value) {
      return put(name, value == null ? JsonNull.NULL : new JsonString(value));
    }

    /** Adds an integral number field. */
    public Builder put(String name, long value) {
      return put(name, JsonNumber.of(value));
    }

    /** Adds a number field; the value must be finite. */
    public Builder put(String name, double value) {
      return put(name, JsonNumber.of(value));
    }

    /** Adds a boolean field. */
    public Builder put(String name, boolean value) {
      return put(name, new JsonBoolean(value));
    }

    /** The object; the builder starts anew. */
    public JsonObject build() {
      JsonObject object = new JsonObject(fields);
      fields = new LinkedHashMap<>();
      return object;
    }
  }
}
