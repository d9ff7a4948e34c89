package dev.fathom.checkpoint;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNull;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A strict view of {@code config.json} or of an object inside it.
 *
 * <p>A getter checks kind and range before anybody computes with the value; a key that is missing
 * and one that is null are the same. Getters without a default throw when the key is missing. Keys
 * that nobody asks for are kept. Immutable.
 */
public final class ModelConfig {
  private final String source;
  private final String prefix;
  private final JsonObject json;

  private ModelConfig(String source, String prefix, JsonObject json) {
    this.source = source;
    this.prefix = prefix;
    this.json = json;
  }

  /**
   * Parses a configuration.
   *
   * @param utf8 the file's bytes
   * @param source the file's name for messages, "config.json"
   * @throws ModelConfigException if it is not a JSON object
   */
  public static ModelConfig parse(byte[] utf8, String source) {
    try {
      if (Json.parse(utf8, JsonLimits.DEFAULT) instanceof JsonObject object) {
        return new ModelConfig(source, "", object);
      }
      throw notJson(source, "it must be a JSON object", null);
    } catch (JsonException e) {
      throw notJson(source, e.rule() + ": offset=" + e.offset(), e);
    }
  }

  /** A view of an object that was made in memory. */
  static ModelConfig of(JsonObject json, String source) {
    return new ModelConfig(source, "", json);
  }

  private static ModelConfigException notJson(String source, String why, @Nullable Exception e) {
    String what = "The file " + Text.quote(source) + " is not a configuration";
    String fix = "put the file of the published model there";
    return e == null
        ? new ModelConfigException(ErrorCode.CONFIG_JSON, what, why, fix)
        : new ModelConfigException(ErrorCode.CONFIG_JSON, what, why, fix, e);
  }

  /** All keys with their values, also the unknown ones. */
  JsonObject json() {
    return json;
  }

  /** All keys, in the order of the file. */
  public List<String> keys() {
    return List.copyOf(json.fields().keySet());
  }

  /** Whether the key is there and not null. */
  public boolean has(String key) {
    return value(key) != null;
  }

  /** The value of {@code model_type}, "deepseek_v3". */
  public String modelType() {
    return stringAt("model_type");
  }

  /** The class names of {@code architectures}; empty if the key is missing. */
  public List<String> architectures() {
    return stringsAt("architectures");
  }

  /** An integer of [min, max]. */
  public int intAt(String key, int min, int max) {
    return (int) longAt(key, min, max);
  }

  /** An integer of [min, max], or the default if the key is missing. */
  public int intAt(String key, int min, int max, int defaultValue) {
    return has(key) ? intAt(key, min, max) : defaultValue;
  }

  /** An integer of [min, max], written without fraction and exponent. */
  public long longAt(String key, long min, long max) {
    return toLong(key, required(key), min, max);
  }

  /** An integer of [min, max], or the default if the key is missing. */
  public long longAt(String key, long min, long max, long defaultValue) {
    return has(key) ? longAt(key, min, max) : defaultValue;
  }

  /** A finite number of [min, max]. */
  public double doubleAt(String key, double min, double max) {
    JsonValue value = required(key);
    if (value instanceof JsonNumber number) {
      double x = number.doubleValue();
      if (x >= min && x <= max) {
        return x;
      }
    }
    throw broken(key, value, "must be a number in [" + min + ", " + max + "]");
  }

  /** A finite number of [min, max], or the default if the key is missing. */
  public double doubleAt(String key, double min, double max, double defaultValue) {
    return has(key) ? doubleAt(key, min, max) : defaultValue;
  }

  /** A true or false. */
  public boolean booleanAt(String key) {
    JsonValue value = required(key);
    if (value instanceof JsonBoolean bool) {
      return bool.value();
    }
    throw broken(key, value, "must be true or false");
  }

  /** A true or false, or the default if the key is missing. */
  public boolean booleanAt(String key, boolean defaultValue) {
    return has(key) ? booleanAt(key) : defaultValue;
  }

  /** A string. */
  public String stringAt(String key) {
    JsonValue value = required(key);
    if (value instanceof JsonString string) {
      return string.value();
    }
    throw broken(key, value, "must be a string");
  }

  /** A string, or the default if the key is missing. */
  public String stringAt(String key, String defaultValue) {
    return has(key) ? stringAt(key) : defaultValue;
  }

  /** A string out of the known ones, or the default if the key is missing. */
  public String oneOf(String key, List<String> known, String defaultValue) {
    String value = stringAt(key, defaultValue);
    if (!known.contains(value)) {
      throw broken(key, new JsonString(value), "must be one of " + known);
    }
    return value;
  }

  /** An array of strings; empty if the key is missing. */
  public List<String> stringsAt(String key) {
    List<String> strings = new ArrayList<>();
    for (JsonValue value : arrayAt(key)) {
      if (!(value instanceof JsonString string)) {
        throw broken(key, value, "must hold strings only");
      }
      strings.add(string.value());
    }
    return List.copyOf(strings);
  }

  /** An array of integers of [min, max]; empty if the key is missing. */
  public List<Integer> intsAt(String key, int min, int max) {
    List<Integer> ints = new ArrayList<>();
    for (JsonValue value : arrayAt(key)) {
      ints.add((int) toLong(key, value, min, max));
    }
    return List.copyOf(ints);
  }

  /**
   * Token ids: {@code 1}, {@code [1, 2]}, or empty if the key is missing. Negative ids, which some
   * files use for "none", are left out.
   */
  public List<Integer> tokenIdsAt(String key) {
    List<Integer> ids =
        value(key) instanceof JsonNumber
            ? List.of(intAt(key, -1, Integer.MAX_VALUE))
            : intsAt(key, -1, Integer.MAX_VALUE);
    return ids.stream().filter(id -> id >= 0).toList();
  }

  /** A view of an object; its messages name keys as {@code outer.inner}. */
  public ModelConfig objectAt(String key) {
    JsonValue value = required(key);
    if (value instanceof JsonObject object) {
      return new ModelConfig(source, prefix + key + ".", object);
    }
    throw broken(key, value, "must be an object");
  }

  /** Whether the value of the key is a string. */
  public boolean isString(String key) {
    return value(key) instanceof JsonString;
  }

  /** Whether the value of the key is an object. */
  public boolean isObject(String key) {
    return value(key) instanceof JsonObject;
  }

  /**
   * How positions beyond the trained ones are rotated: from {@code rope_parameters} (transformers
   * 5) or else {@code rope_scaling}; {@link RopeScaling.None} if neither is there.
   */
  public RopeScaling ropeScaling() {
    return RopeScaling.of(this);
  }

  /**
   * The base of the rotary frequencies: from {@code rope_parameters}, else the key {@code
   * rope_theta}, else the default.
   */
  public double ropeTheta(double defaultValue) {
    if (isObject("rope_parameters") && objectAt("rope_parameters").has("rope_theta")) {
      return objectAt("rope_parameters").doubleAt("rope_theta", 1, 1e12);
    }
    return doubleAt("rope_theta", 1, 1e12, defaultValue);
  }

  /**
   * How the weights are quantized: {@code quantization_config}, or {@code compression_config} as
   * the first writers of compressed-tensors called it; null if there is neither.
   */
  public @Nullable QuantizationConfig quantization() {
    if (has("quantization_config")) {
      return QuantizationConfig.of(objectAt("quantization_config"));
    }
    return has("compression_config")
        ? QuantizationConfig.ofOlder(objectAt("compression_config"), "compressed-tensors")
        : null;
  }

  /**
   * The error for a value that breaks a rule of its architecture.
   *
   * @param key whose value is shown if it is there
   * @param rule what must hold, "must divide n_routed_experts (256)"
   */
  public ModelConfigException broken(String key, String rule) {
    return broken(key, value(key), rule);
  }

  private long toLong(String key, JsonValue value, long min, long max) {
    if (value instanceof JsonNumber number && number.isLong()) {
      long x = number.longValueExact();
      if (x >= min && x <= max) {
        return x;
      }
    }
    throw broken(key, value, "must be an integer in [" + min + ", " + max + "]");
  }

  private JsonArray arrayAt(String key) {
    JsonValue value = value(key);
    if (value == null) {
      return JsonArray.of();
    }
    if (value instanceof JsonArray array) {
      return array;
    }
    throw broken(key, value, "must be an array");
  }

  private @Nullable JsonValue value(String key) {
    JsonValue value = json.get(key);
    return value == JsonNull.NULL ? null : value;
  }

  private JsonValue required(String key) {
    JsonValue value = value(key);
    if (value == null) {
      throw new ModelConfigException(
          ErrorCode.CONFIG_KEY_MISSING,
          "The file " + Text.quote(source) + " is incomplete",
          "it must have the key " + prefix + key,
          "put the file of the published model there, or add the key");
    }
    return value;
  }

  private ModelConfigException broken(String key, @Nullable JsonValue value, String rule) {
    String shown = value == null ? "missing" : shown(value);
    return new ModelConfigException(
        ErrorCode.CONFIG_VALUE,
        "The file " + Text.quote(source) + " has a value that is not allowed",
        rule + ": " + prefix + key + "=" + shown,
        "put the file of the published model there, or correct the value");
  }

  /** Strings are quoted; numbers, which are short, are shown as written; containers by kind. */
  private static String shown(JsonValue value) {
    return switch (value) {
      case JsonString string -> Text.quote(string.value());
      case JsonNumber number ->
          number.text().length() <= 40 ? number.text() : number.text().substring(0, 40) + "...";
      case JsonBoolean bool -> Boolean.toString(bool.value());
      case JsonNull ignored -> "null";
      case JsonArray ignored -> "an array";
      case JsonObject ignored -> "an object";
    };
  }
}
