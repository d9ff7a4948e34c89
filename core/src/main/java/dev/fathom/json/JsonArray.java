package dev.fathom.json;

import java.util.Iterator;
import java.util.List;

/**
 * A JSON array.
 *
 * @param values the elements in document order; copied, unmodifiable
 */
public record JsonArray(List<JsonValue> values) implements JsonValue, Iterable<JsonValue> {
  /** Copies the list. */
  public JsonArray {
    values = List.copyOf(values);
  }

  /** An array of these elements. */
  public static JsonArray of(JsonValue... values) {
    return new JsonArray(List.of(values));
  }

  /** Number of elements. */
  public int size() {
    return values.size();
  }

  /** The element at {@code index}, from 0. */
  public JsonValue get(int index) {
    return values.get(index);
  }

  @Override
  public Iterator<JsonValue> iterator() {
    return values.iterator();
  }
}
