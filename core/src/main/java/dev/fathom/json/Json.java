package dev.fathom.json;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;

/**
 * Reads a whole JSON document into a tree.
 *
 * <p>Strict RFC 8259 and a little more: UTF-8 must be well formed, a byte order mark is refused, so
 * are duplicate names (after unescaping), lone surrogates, NaN and Infinity, leading zeros,
 * comments and trailing commas. No input causes a StackOverflowError: depth is limited.
 */
public final class Json {
  private Json() {}

  /**
   * Parses a UTF-8 document.
   *
   * @throws JsonException if the text breaks a rule
   */
  public static JsonValue parse(byte[] utf8, JsonLimits limits) {
    return new TreeBuilder(new JsonReader(utf8, 0, utf8.length, limits)).document();
  }

  /**
   * Parses the remaining bytes of a buffer, whose position does not move.
   *
   * @throws JsonException if the text breaks a rule
   */
  public static JsonValue parse(ByteBuffer utf8, JsonLimits limits) {
    byte[] bytes = new byte[utf8.remaining()];
    utf8.duplicate().get(bytes);
    return parse(bytes, limits);
  }

  /**
   * Parses text; offsets of errors count its UTF-8 bytes.
   *
   * @throws JsonException if the text breaks a rule
   */
  public static JsonValue parse(String text, JsonLimits limits) {
    CharBuffer chars = CharBuffer.wrap(text);
    try {
      ByteBuffer utf8 =
          StandardCharsets.UTF_8
              .newEncoder()
              .onMalformedInput(CodingErrorAction.REPORT)
              .encode(chars);
      return parse(utf8, limits);
    } catch (CharacterCodingException e) {
      String before = text.substring(0, Math.min(chars.position(), text.length()));
      throw new JsonException(
          before.getBytes(StandardCharsets.UTF_8).length, "a surrogate must be part of a pair");
    }
  }

  /** Turns the tokens of a reader into a tree. */
  private static final class TreeBuilder {
    private final JsonReader reader;

    TreeBuilder(JsonReader reader) {
      this.reader = reader;
    }

    JsonValue document() {
      JsonValue value = value(reader.next());
      reader.next();
      return value;
    }

    private JsonValue value(JsonToken token) {
      return switch (token) {
        case BEGIN_OBJECT -> object();
        case BEGIN_ARRAY -> array();
        case STRING -> new JsonString(reader.text());
        case NUMBER -> new JsonNumber(reader.text());
        case TRUE -> new JsonBoolean(true);
        case FALSE -> new JsonBoolean(false);
        case NULL -> JsonNull.NULL;
        case NAME, END_OBJECT, END_ARRAY, END ->
            throw new IllegalStateException("must start a value: token=" + token);
      };
    }

    private JsonObject object() {
      LinkedHashMap<String, JsonValue> fields = new LinkedHashMap<>();
      while (reader.next() == JsonToken.NAME) {
        String name = reader.text();
        int offset = reader.offset();
        if (fields.put(name, value(reader.next())) != null) {
          throw new JsonException(offset, "a name must not occur twice in one object");
        }
      }
      return new JsonObject(fields);
    }

    private JsonArray array() {
      ArrayList<JsonValue> values = new ArrayList<>();
      for (JsonToken token = reader.next(); token != JsonToken.END_ARRAY; token = reader.next()) {
        values.add(value(token));
      }
      return new JsonArray(values);
    }
  }
}
