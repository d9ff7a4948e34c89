package dev.fathom.quantization;

import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonNull;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.ZeroPoints;
import dev.fathom.quantization.QuantizationRecipe.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Writes {@code quantization_config} as the engines that know a layout expect it. Stateless. */
final class ConfigSection {
  private ConfigSection() {}

  /** The name that {@code quant_method} gets. */
  static String method(QuantizationRecipe recipe, TargetPlan plan) {
    return recipe.method() == Method.FP8 ? "fp8" : plan.awqLayout() ? "awq" : "compressed-tensors";
  }

  /** The section for a plan. */
  static JsonObject of(QuantizationRecipe recipe, TargetPlan plan) {
    List<String> kept = plan.keptLinears().stream().map(WeightRef::linearName).toList();
    if (recipe.method() == Method.FP8) {
      return fp8(kept);
    }
    return plan.awqLayout() ? awq(recipe, kept) : compressed(recipe, plan);
  }

  private static JsonObject fp8(List<String> kept) {
    JsonObject.Builder section =
        JsonObject.builder()
            .put("quant_method", "fp8")
            .put("fmt", "e4m3")
            .put("activation_scheme", "dynamic")
            .put(
                "weight_block_size",
                JsonArray.of(
                    JsonNumber.of(TargetForm.Fp8.BLOCK), JsonNumber.of(TargetForm.Fp8.BLOCK)));
    if (!kept.isEmpty()) {
      section.put("modules_to_not_convert", strings(kept));
    }
    return section.build();
  }

  private static JsonObject awq(QuantizationRecipe recipe, List<String> kept) {
    return JsonObject.builder()
        .put("quant_method", "awq")
        .put("bits", recipe.bits())
        .put("group_size", recipe.groupSize())
        .put("zero_point", true)
        .put("version", "gemm")
        .put("modules_to_not_convert", kept.isEmpty() ? JsonNull.NULL : strings(kept))
        .build();
  }

  private static JsonObject compressed(QuantizationRecipe recipe, TargetPlan plan) {
    JsonObject.Builder groups = JsonObject.builder();
    boolean perChannel = recipe.groupSize() == QuantizationRecipe.PER_CHANNEL;
    if (perChannel) {
      groups.put("group_0", group(recipe, QuantizationRecipe.PER_CHANNEL, List.of("Linear")));
    } else {
      int next = 0;
      for (Map.Entry<Integer, List<String>> entry : plan.groups().entrySet()) {
        boolean usual = entry.getKey() == recipe.groupSize();
        List<String> targets = usual ? List.of("Linear") : entry.getValue();
        groups.put("group_" + next++, group(recipe, entry.getKey(), targets));
      }
    }
    List<String> ignored = plan.kept().stream().map(WeightRef::linearName).toList();
    return JsonObject.builder()
        .put("quant_method", "compressed-tensors")
        .put("format", "pack-quantized")
        .put("quantization_status", "compressed")
        .put("config_groups", groups.build())
        .put("ignore", strings(ignored))
        .build();
  }

  private static JsonObject group(QuantizationRecipe recipe, int groupSize, List<String> targets) {
    boolean perChannel = groupSize == QuantizationRecipe.PER_CHANNEL;
    JsonObject weights =
        JsonObject.builder()
            .put("num_bits", recipe.bits())
            .put("type", "int")
            .put("symmetric", recipe.zeroPoints() == ZeroPoints.SYMMETRIC)
            .put("strategy", perChannel ? "channel" : "group")
            .put("group_size", perChannel ? JsonNull.NULL : JsonNumber.of(groupSize))
            .put("dynamic", false)
            .put("actorder", JsonNull.NULL)
            .build();
    return JsonObject.builder()
        .put("targets", strings(targets))
        .put("weights", weights)
        .put("input_activations", JsonNull.NULL)
        .put("output_activations", JsonNull.NULL)
        .build();
  }

  private static JsonArray strings(List<String> values) {
    List<JsonValue> elements = new ArrayList<>();
    values.forEach(value -> elements.add(new JsonString(value)));
    return new JsonArray(elements);
  }
}
