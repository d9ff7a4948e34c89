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
import java.util.Locale;
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
  private static final List<Integer> WIDTHS = List.of(4, 8);

  private final List<Integer> groupSizes = new ArrayList<>();
  private final List<Integer> widths = new ArrayList<>();
  private final List<List<Integer>> blocks = new ArrayList<>();

  /** Whether every group of integers has zero points, is in another order. */
  private boolean allAsymmetric;

  private boolean allOrdered;

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
    String version = section.stringAt("version", "gemm").toLowerCase(Locale.ROOT);
    known("version", version, List.of("gemm"));
    int olderBits = section.intAt("w_bit", 1, 32, 4);
    known("bits", Integer.toString(bits(section, olderBits)), List.of("4"));
    int olderSize = section.intAt("q_group_size", -1, Integer.MAX_VALUE, 128);
    groupSizes.add(section.intAt("group_size", -1, Integer.MAX_VALUE, olderSize));
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
    allOrdered = section.booleanAt("desc_act", false);
    if (section.isObject("dynamic")) {
      dynamic(section.objectAt("dynamic"));
    }
  }

  /** Modules that differ from the rest: their widths and orders are seen in their tensors. */
  private void dynamic(ModelConfig modules) {
    allOrdered = false;
    for (String pattern : modules.keys()) {
      if (modules.isObject(pattern) && modules.objectAt(pattern).has("group_size")) {
        groupSizes.add(modules.objectAt(pattern).intAt("group_size", -1, Integer.MAX_VALUE));
      }
    }
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
    List<ModelConfig> integers = new ArrayList<>();
    for (String key : groups.keys()) {
      if (groups.isObject(key)) {
        group(groups.objectAt(key), integers);
      }
    }
    allAsymmetric =
        !integers.isEmpty() && integers.stream().noneMatch(w -> w.booleanAt("symmetric", true));
    allOrdered = !integers.isEmpty() && integers.stream().allMatch(QuantizationRules::isOrdered);
  }

  /** Only an order "group" leaves the columns in another order than that of their groups. */
  private static boolean isOrdered(ModelConfig weights) {
    return weights.isString("actorder")
        && List.of("group", "dynamic").contains(weights.stringAt("actorder"));
  }

  private void group(ModelConfig group, List<ModelConfig> integers) {
    if (group.has("format")) {
      known("format", group.stringAt("format"), COMPRESSED_FORMATS);
    }
    if (!group.isObject("weights")) {
      return;
    }
    ModelConfig weights = group.objectAt("weights");
    groupSizes.add(weights.intAt("group_size", -1, Integer.MAX_VALUE, -1));
    List<Integer> block = weights.intsAt("block_structure", 1, 1 << 16);
    if (block.size() == 2) {
      blocks.add(block);
    }
    if (weights.stringAt("type", "int").equals("int")) {
      int bits = weights.intAt("num_bits", 1, 32, 4);
      known("num_bits", Integer.toString(bits), List.of("4", "8"));
      integers.add(weights);
      if (weights.has("num_bits") && !widths.contains(bits)) {
        widths.add(bits);
      }
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

  /** Returns the sizes of blocks that a configuration of compressed-tensors names, often none. */
  List<List<Integer>> blockStructures() {
    return List.copyOf(blocks);
  }

  /** Returns the widths that integers of compressed-tensors may have. */
  List<Integer> integerBits() {
    return widths.isEmpty() ? WIDTHS : List.copyOf(widths);
  }

  /** Refuses integers without zero points where the configuration gives them to all. */
  void requireSymmetric(TensorInfo tensor) {
    if (allAsymmetric) {
      throw StoredWeight.mismatch(
          tensor, "expected weight_zero_point beside it since symmetric=false, got none");
    }
  }

  /** Refuses groups without an index where the configuration says that columns are permuted. */
  void requireNoOrder(TensorInfo tensor) {
    if (allOrdered) {
      String key =
          config != null && config.method().equals(GPTQ)
              ? "g_idx beside it since desc_act=true"
              : "weight_g_idx beside it since actorder=\"group\"";
      throw StoredWeight.mismatch(tensor, "expected " + key + ", got none");
    }
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
