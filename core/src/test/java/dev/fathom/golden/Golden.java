package dev.fathom.golden;

import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A model with random weights and what transformers computed for it in float32.
 *
 * @param name of the folder
 * @param model the model
 * @param tokens T token ids
 * @param logits [V] by position, all positions or some
 * @param argmax the most probable next token of every position, or none
 * @param hidden [T, C] after the embedding, after each layer and last after the final norm; or none
 * @param greedy tokens that follow, or none
 */
record Golden(
    String name,
    TestModel model,
    int[] tokens,
    Map<Integer, float[]> logits,
    int[] argmax,
    List<float[]> hidden,
    int[] greedy) {

  /** Models that were made with published configurations and tensor names. */
  static final List<String> SPEC =
      List.of(
          "v2",
          "v2_lite",
          "v3",
          "v3_fp8",
          "v32",
          "v4",
          "v4_fp4",
          "llama3_rope",
          "llama_linear",
          "qwen2",
          "qwen3_yarn");

  /** The model that transformers wrote itself. */
  static final String TRANSFORMERS = "transformers_deepseek_v3";

  /** Goldens of ../shared/fixtures/transformers with their model_type, which a clone lacks. */
  static final Map<String, String> SHARED =
      Map.of(
          "deepseek_v2", "deepseek_v2",
          "deepseek_v2_lite", "deepseek_v2",
          "deepseek_v3", "deepseek_v3",
          "deepseek_v32", "deepseek_v32",
          "deepseek_v4", "deepseek_v4",
          "llama", "llama",
          "qwen2", "qwen2",
          "qwen3", "qwen3");

  static Golden of(String name) {
    if (name.equals(PlainMoe.NAME)) {
      return PlainMoe.golden();
    }
    String folder = "goldens/" + name;
    TestModel model = TestModel.ofResource(folder);
    if (!name.equals(TRANSFORMERS)) {
      return spec(name, model, TestModel.resource(folder + "/golden.json"));
    }
    return transformers(name, model, TestModel.resource(folder + "/expected.safetensors"));
  }

  private static Golden spec(String name, TestModel model, byte[] json) {
    JsonObject golden = (JsonObject) Json.parse(json, JsonLimits.DEFAULT);
    int[] positions = ints(golden.get("positions"));
    Map<Integer, float[]> logits = new LinkedHashMap<>();
    for (int i = 0; i < positions.length; i++) {
      logits.put(positions[i], floats(((JsonArray) golden.get("logits")).get(i)));
    }
    return new Golden(
        name,
        model,
        ints(golden.get("input_ids")),
        logits,
        ints(golden.get("argmax")),
        List.of(),
        ints(golden.get("greedy")));
  }

  /** A golden that knows the logits of the last token of some prefixes, and nothing else. */
  static Golden prefixes(TestModel model, Path json) {
    JsonObject golden = (JsonObject) Json.parse(TestModel.read(json), JsonLimits.DEFAULT);
    Map<Integer, float[]> logits = new LinkedHashMap<>();
    for (JsonValue value : ((JsonArray) golden.get("cases")).values()) {
      JsonObject prefix = (JsonObject) value;
      int len = Math.toIntExact(((JsonNumber) prefix.get("n_tokens")).longValueExact());
      logits.put(len - 1, floats(prefix.get("main_logits")));
    }
    int[] tokens = ints(golden.get("input_ids"));
    return new Golden("v4_mtp", model, tokens, logits, new int[0], List.of(), new int[0]);
  }

  static Golden transformers(String name, TestModel model, byte[] file) {
    TestTensors expected = new TestTensors();
    expected.add(file);
    int[] tokens = expected.get("input_ids").ints();
    float[] all = expected.get("logits").floats();
    int vocab = all.length / tokens.length;
    Map<Integer, float[]> logits = new LinkedHashMap<>();
    int[] argmax = new int[tokens.length];
    for (int t = 0; t < tokens.length; t++) {
      float[] row = Arrays.copyOfRange(all, t * vocab, (t + 1) * vocab);
      logits.put(t, row);
      argmax[t] = argmax(row, 0, vocab);
    }
    List<float[]> hidden = new ArrayList<>();
    while (expected.find("hidden." + hidden.size()) != null) {
      hidden.add(expected.get("hidden." + hidden.size()).floats());
    }
    int[] greedy = expected.get("greedy").ints();
    int[] next = Arrays.copyOfRange(greedy, tokens.length, greedy.length);
    return new Golden(name, model, tokens, logits, argmax, hidden, next);
  }

  static int argmax(float[] values, int from, int len) {
    int best = 0;
    for (int i = 1; i < len; i++) {
      if (values[from + i] > values[from + best]) {
        best = i;
      }
    }
    return best;
  }

  static int[] ints(JsonValue array) {
    return TestTensors.longs(array).stream().mapToInt(Math::toIntExact).toArray();
  }

  static float[] floats(JsonValue array) {
    JsonArray values = (JsonArray) array;
    float[] out = new float[values.size()];
    for (int i = 0; i < out.length; i++) {
      out[i] = (float) ((JsonNumber) values.get(i)).doubleValue();
    }
    return out;
  }
}
