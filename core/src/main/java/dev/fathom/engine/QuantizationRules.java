package dev.fathom.engine;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.checkpoint.QuantizationConfig;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import dev.fathom.quant.GptqLayout.StoredZeros;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What {@code quantization_config} confirms about tensors whose names and types were recognised
 * before, and what it names that cannot be read.
 */
final class QuantizationRules {

  static final String AWQ = "awq";
  static final String GPTQ = "gptq";
  static final String COMPRESSED = "compressed-tensors";

  private static final List<String> METHODS =
      List.of(QuantizationConfig.FP8, AWQ, GPTQ, COMPRESSED);
  private static final List<String> COMPRESSED_FORMATS =
      List.of(
          "dense",
          "float-quantized",
          "int-quantized",
          "mixed-precision",
          "mxfp4-pack-quantized",
          "naive-quantized",
          "pack-quantized");

  private final @Nullable QuantizationConfig config;
  private final List<Integer> groupSizes = new ArrayList<>();

  /**
   * Reads the section, which may be absent.
   *
   * @throws ModelConfigException if it names a method, version or format that cannot be read
   */
  QuantizationRules(@Nullable QuantizationConfig config) {
    this.config = config;
    if (config == null) {
      return;
    }
    config.requireKnown(METHODS);
    switch (config.method()) {
      case AWQ -> awq(config.section());
      case GPTQ -> gptq(config.section());
      case COMPRESSED -> compressed(config.section());
      default -> {}
    }
  }

  private void awq(ModelConfig section) {
    known("version", section.stringAt("version", "gemm"), List.of("gemm"));
    known("bits", Integer.toString(bits(section, 4)), List.of("4"));
    groupSizes.add(section.intAt("group_size", -1, Integer.MAX_VALUE, 128));
  }

  private void gptq(ModelConfig section) {
    known(
        "checkpoint_format", section.stringAt("checkpoint_format", GPTQ), List.of(GPTQ, "gptq_v2"));
    known(
        "is_marlin_format",
        Boolean.toString(section.booleanAt("is_marlin_format", false)),
        List.of("false"));
    known("bits", Integer.toString(bits(section, 4)), List.of("4", "8"));
    groupSizes.add(section.intAt("group_size", -1, Integer.MAX_VALUE, 128));
  }

  private static int bits(ModelConfig section, int defaultBits) {
    return section.intAt("bits", 1, 32, defaultBits);
  }

  private void compressed(ModelConfig section) {
    known("format", section.stringAt("format", "dense"), COMPRESSED_FORMATS);
    if (section.isObject("sparsity_config")) {
      ModelConfig sparsity = section.objectAt("sparsity_config");
      known("sparsity_config.format", sparsity.stringAt("format", "dense"), List.of("dense"));
    }
    if (section.isObject("transform_config")
        && !section.objectAt("transform_config").keys().isEmpty()) {
      throw unsupported("weights must not be transformed", "transform_config", "an object");
    }
    if (!section.isObject("config_groups")) {
      return;
    }
    ModelConfig groups = section.objectAt("config_groups");
    for (String key : groups.keys()) {
      if (groups.isObject(key)) {
        group(groups.objectAt(key));
      }
    }
  }

  private void group(ModelConfig group) {
    if (group.has("format")) {
      known("format", group.stringAt("format"), COMPRESSED_FORMATS);
    }
    if (group.isObject("weights")) {
      groupSizes.add(group.objectAt("weights").intAt("group_size", -1, Integer.MAX_VALUE, -1));
    }
  }

  private static void known(String key, String value, List<String> known) {
    if (!known.contains(value)) {
      throw unsupported("must be one of " + known, key, value);
    }
  }

  private static ModelConfigException unsupported(String rule, String key, String value) {
    return new ModelConfigException(
        ErrorCode.QUANTIZATION_UNSUPPORTED,
        "The weights are quantized in a way that cannot be read",
        rule + ": " + key + "=" + Text.quote(value),
        "use a checkpoint in one of these formats, or the unquantized one");
  }

  /** Refuses a packing that the checkpoint's own configuration contradicts. */
  void requireMethod(TensorInfo tensor, String method) {
    if (config != null && !config.method().equals(method)) {
      throw StoredWeight.mismatch(
          tensor,
          "its name and shape are those of quant_method="
              + method
              + ", config.json says "
              + Text.quote(config.method()));
    }
  }

  /** Refuses a width that the configuration contradicts; mixed widths are declared as dynamic. */
  void requireBits(TensorInfo tensor, int bits) {
    if (config != null && !config.section().has("dynamic")) {
      int said = bits(config.section(), bits);
      if (said != bits) {
        throw StoredWeight.mismatch(
            tensor, "expected bits=" + said + " from config.json, got bits=" + bits);
      }
    }
  }

  /** Returns how GPTQ files of this checkpoint store zero points. */
  StoredZeros gptqZeros(TensorInfo tensor) {
    if (config == null) {
      throw StoredWeight.mismatch(
          tensor,
          "expected quantization_config in config.json, which says how its zero points are stored,"
              + " got none");
    }
    return config.section().stringAt("checkpoint_format", GPTQ).equals(GPTQ)
        ? StoredZeros.MINUS_ONE
        : StoredZeros.EXACT;
  }

  /**
   * Returns the columns of a group: a size that the configuration states and the scales fit, or
   * without a statement the one that divides the columns.
   *
   * @param scales whose shape gave the groups
   */
  int groupSize(TensorInfo scales, int cols, int groups) {
    for (int size : groupSizes) {
      boolean fits = size < 1 ? groups == 1 : Math.ceilDiv(cols, size) == groups;
      if (fits) {
        return size < 1 ? cols : Math.min(size, cols);
      }
    }
    if (groupSizes.isEmpty() && groups > 0 && cols % groups == 0) {
      return cols / groups;
    }
    throw StoredWeight.mismatch(
        scales,
        "expected the groups of "
            + cols
            + " columns for group_size="
            + (groupSizes.isEmpty() ? "a divisor" : groupSizes)
            + ", got "
            + groups);
  }
}
