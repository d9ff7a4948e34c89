package dev.fathom.checkpoint;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonNull;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What {@code adapter_config.json} of a LoRA adapter says (PEFT, {@code LoraConfig}).
 *
 * <p>Which modules are adapted is what the tensors say; {@code target_modules}, {@code
 * exclude_modules} and {@code layers_to_transform} are not read. {@code fan_in_fan_out} does not
 * change the factors and is ignored. What would change the result in a way that is not implemented
 * is refused by name.
 *
 * @param rank {@code r}
 * @param alpha {@code lora_alpha}
 * @param rankStabilized {@code use_rslora}: the scale is alpha / sqrt(rank) instead of alpha / rank
 * @param rankPattern other ranks, by the end of a module's name
 * @param alphaPattern other alphas, by the end of a module's name
 */
public record PeftConfig(
    int rank,
    double alpha,
    boolean rankStabilized,
    Map<String, Double> rankPattern,
    Map<String, Double> alphaPattern) {

  private static final int MAX_RANK = 1 << 16;

  /** Ways to initialise that leave the base weights as they are. */
  private static final List<String> PLAIN_INIT = List.of("gaussian", "eva", "orthogonal");

  /** Characters that make a pattern more than a name. */
  private static final String META = "*+?[](){}|\\";

  /** Copies the patterns. */
  public PeftConfig {
    rankPattern = new LinkedHashMap<>(rankPattern);
    alphaPattern = new LinkedHashMap<>(alphaPattern);
  }

  /**
   * Parses and checks the file.
   *
   * @throws ModelConfigException if it is not JSON, a value is out of its range, or it asks for
   *     something that is not implemented
   */
  public static PeftConfig parse(byte[] utf8) {
    ModelConfig json = ModelConfig.parse(utf8, "adapter_config.json");
    refuseOtherKinds(json);
    refuseVariants(json);
    refuseInit(json);
    Map<String, Double> alphas = pattern(json, "alpha_pattern", 0, 1e9);
    for (String key : alphas.keySet()) {
      if (!isName(key)) {
        throw unsupported(
            "alpha_pattern has a regular expression: " + Text.quote(key),
            "write one entry for each module");
      }
    }
    return new PeftConfig(
        json.intAt("r", 1, MAX_RANK),
        json.doubleAt("lora_alpha", 0, 1e9),
        json.booleanAt("use_rslora", false),
        pattern(json, "rank_pattern", 1, MAX_RANK),
        alphas);
  }

  private static void refuseOtherKinds(ModelConfig json) {
    String type = json.stringAt("peft_type");
    if (!type.equals("LORA")) {
      throw unsupported("must be LORA: peft_type=" + Text.quote(type), "use a LoRA adapter");
    }
    String bias = json.stringAt("bias", "none");
    if (!bias.equals("none")) {
      throw unsupported("must be none: bias=" + Text.quote(bias), "train with bias=\"none\"");
    }
  }

  private static void refuseVariants(ModelConfig json) {
    String merge = "merge the adapter into the model with PEFT's merge_and_unload";
    refuseTrue(json, "use_dora", "DoRA (weight-decomposed adapters)", merge);
    refuseTrue(json, "lora_bias", "A bias of the adapter", merge);
    refuseTrue(json, "use_qalora", "QALoRA", merge);
    for (String key :
        List.of(
            "modules_to_save",
            "target_parameters",
            "trainable_token_indices",
            "layer_replication",
            "alora_invocation_tokens",
            "megatron_config",
            "arrow_config")) {
      if (isSet(json, key)) {
        throw unsupported(key + " is set", merge);
      }
    }
  }

  private static void refuseTrue(ModelConfig json, String key, String what, String fix) {
    if (json.booleanAt(key, false)) {
      throw unsupported(what + " is not implemented: " + key + "=true", fix);
    }
  }

  /** Whether a key has a value that is neither null nor an empty list or object. */
  private static boolean isSet(ModelConfig json, String key) {
    JsonValue value = json.json().get(key);
    return switch (value) {
      case null -> false;
      case JsonNull _ -> false;
      case JsonArray array -> !array.values().isEmpty();
      case JsonObject object -> !object.fields().isEmpty();
      case JsonBoolean flag -> flag.value();
      default -> true;
    };
  }

  private static void refuseInit(ModelConfig json) {
    boolean isName = json.json().get("init_lora_weights") instanceof JsonString;
    String name = isName ? json.stringAt("init_lora_weights") : "";
    if (!name.isEmpty() && !PLAIN_INIT.contains(name)) {
      throw unsupported(
          "the base weights were changed: init_lora_weights=" + Text.quote(name),
          "convert it to a plain adapter: PEFT's save_pretrained with"
              + " path_initial_model_for_weight_conversion");
    }
  }

  private static Map<String, Double> pattern(ModelConfig json, String key, double min, double max) {
    Map<String, Double> values = new LinkedHashMap<>();
    if (json.has(key)) {
      ModelConfig object = json.objectAt(key);
      for (String name : object.keys()) {
        values.put(name, object.doubleAt(name, min, max));
      }
    }
    return values;
  }

  private static ModelConfigException unsupported(String why, String fix) {
    return new ModelConfigException(
        ErrorCode.ADAPTER_UNSUPPORTED, "The adapter cannot be used", why, fix);
  }

  /** Returns the rank that a module should have, or 0 where a regular expression decides. */
  public int rankOf(String module) {
    if (!rankPattern.keySet().stream().allMatch(PeftConfig::isName)) {
      return 0;
    }
    return (int) valueOf(rankPattern, module, rank);
  }

  /**
   * Returns the factor on B * A of a module.
   *
   * @param module name in the base model, such as {@code model.layers.0.self_attn.q_proj}
   * @param moduleRank its rank
   */
  public float scaleOf(String module, int moduleRank) {
    double a = valueOf(alphaPattern, module, alpha);
    return (float) (rankStabilized ? a / Math.sqrt(moduleRank) : a / moduleRank);
  }

  /** The first pattern that is the end of a name, from a dot on, decides. */
  private static double valueOf(Map<String, Double> pattern, String module, double other) {
    for (Map.Entry<String, Double> entry : pattern.entrySet()) {
      if (matches(entry.getKey(), module)) {
        return entry.getValue();
      }
    }
    return other;
  }

  private static boolean matches(String key, String module) {
    String name = plain(key);
    boolean whole = name.startsWith("^");
    String end = whole ? name.substring(1) : name;
    return module.equals(end) || (!whole && module.endsWith("." + end));
  }

  /** Returns a pattern without escapes of dots and without its end mark. */
  private static String plain(String key) {
    String name = key.replace("\\.", ".");
    return name.endsWith("$") ? name.substring(0, name.length() - 1) : name;
  }

  private static boolean isName(String key) {
    String name = plain(key);
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      if (META.indexOf(c) >= 0 || c == '$' || (c == '^' && i > 0)) {
        return false;
      }
    }
    return true;
  }
}
