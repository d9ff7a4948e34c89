package dev.fathom.text;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * HuggingFace's own tokenizer (the Rust library inside DJL), which ours must equal. Runs offline:
 * the library is unpacked from its jar.
 */
final class HuggingFace implements AutoCloseable {
  private final HuggingFaceTokenizer tokenizer;

  private HuggingFace(byte[] json) {
    try {
      tokenizer =
          HuggingFaceTokenizer.newInstance(
              new ByteArrayInputStream(json),
              Map.of("addSpecialTokens", "false", "truncation", "false", "padding", "false"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Recognises added tokens in all text, as the library always does. */
  static HuggingFace of(byte[] json) {
    return new HuggingFace(json);
  }

  /** Knows no added token but one, so that all other text is text. */
  static HuggingFace withOneAddedToken(byte[] json, String content) {
    JsonObject object = (JsonObject) Json.parse(json, JsonLimits.DEFAULT);
    JsonArray added = (JsonArray) object.get("added_tokens");
    JsonValue[] kept =
        added.values().stream()
            .filter(t -> content.equals(((JsonObject) t).string("content")))
            .toArray(JsonValue[]::new);
    Map<String, JsonValue> fields = new LinkedHashMap<>(object.fields());
    fields.put("added_tokens", JsonArray.of(kept));
    return new HuggingFace(
        JsonWriter.compact(JsonObject.of(fields)).getBytes(StandardCharsets.UTF_8));
  }

  int[] encode(String text) {
    return ints(tokenizer.encode(text, false, false).getIds());
  }

  /** The piece that each token is of, counted over the text; -1 for none. */
  int[] pieces(String text) {
    return ints(tokenizer.encode(text, false, false).getWordIds());
  }

  String decode(int[] ids) {
    long[] longs = new long[ids.length];
    for (int i = 0; i < ids.length; i++) {
      longs[i] = ids[i];
    }
    return tokenizer.decode(longs, false);
  }

  private static int[] ints(long[] longs) {
    int[] ints = new int[longs.length];
    for (int i = 0; i < ints.length; i++) {
      ints[i] = (int) longs[i];
    }
    return ints;
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
