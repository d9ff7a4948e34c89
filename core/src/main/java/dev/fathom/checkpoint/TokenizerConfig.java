package dev.fathom.checkpoint;

import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import org.jspecify.annotations.Nullable;

/**
 * What {@code tokenizer_config.json} says; null where it says nothing.
 *
 * @param bosToken text of the token put before the text
 * @param eosToken text of the token that ends the text
 * @param padToken text of the token of padding
 * @param unkToken text of the token for what cannot be encoded
 * @param addBosToken whether an encoder puts bosToken first
 * @param addEosToken whether an encoder puts eosToken last
 * @param modelMaxLength longest input in tokens; null also for the 1e30 that means "not known"
 * @param tokenizerClass the Python class
 * @param chatTemplate the Jinja template of the conversation; the one called "default" where the
 *     file has several
 */
public record TokenizerConfig(
    @Nullable String bosToken,
    @Nullable String eosToken,
    @Nullable String padToken,
    @Nullable String unkToken,
    @Nullable Boolean addBosToken,
    @Nullable Boolean addEosToken,
    @Nullable Long modelMaxLength,
    @Nullable String tokenizerClass,
    @Nullable String chatTemplate) {

  /** Of a checkpoint without the file. */
  public static final TokenizerConfig NONE =
      new TokenizerConfig(null, null, null, null, null, null, null, null, null);

  private static final double UNLIMITED = 1e18;

  /**
   * Reads the file.
   *
   * @throws dev.fathom.error.ModelConfigException if a value has the wrong kind or range
   */
  public static TokenizerConfig of(ModelConfig file) {
    return new TokenizerConfig(
        token(file, "bos_token"),
        token(file, "eos_token"),
        token(file, "pad_token"),
        token(file, "unk_token"),
        flag(file, "add_bos_token"),
        flag(file, "add_eos_token"),
        maxLength(file),
        file.has("tokenizer_class") ? file.stringAt("tokenizer_class") : null,
        template(file));
  }

  /** The same with another chat template, as {@code chat_template.jinja} gives it. */
  public TokenizerConfig withChatTemplate(String template) {
    return new TokenizerConfig(
        bosToken,
        eosToken,
        padToken,
        unkToken,
        addBosToken,
        addEosToken,
        modelMaxLength,
        tokenizerClass,
        template);
  }

  /** A token is a string or an object with its text under "content". */
  private static @Nullable String token(ModelConfig file, String key) {
    if (!file.has(key)) {
      return null;
    }
    return file.isObject(key) ? file.objectAt(key).stringAt("content") : file.stringAt(key);
  }

  private static @Nullable Boolean flag(ModelConfig file, String key) {
    return file.has(key) ? file.booleanAt(key) : null;
  }

  private static @Nullable Long maxLength(ModelConfig file) {
    if (!file.has("model_max_length")) {
      return null;
    }
    double length = file.doubleAt("model_max_length", 1, 1e300);
    return length >= UNLIMITED ? null : (long) length;
  }

  private static @Nullable String template(ModelConfig file) {
    JsonValue value = file.json().get("chat_template");
    if (!(value instanceof JsonArray templates)) {
      return file.has("chat_template") ? file.stringAt("chat_template") : null;
    }
    for (JsonValue element : templates) {
      if (element instanceof JsonObject named
          && "default".equals(named.string("name"))
          && named.get("template") instanceof JsonString template) {
        return template.value();
      }
    }
    throw file.broken("chat_template", "must be a string or have a template named \"default\"");
  }
}
