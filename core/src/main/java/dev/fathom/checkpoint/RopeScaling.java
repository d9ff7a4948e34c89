package dev.fathom.checkpoint;

import dev.fathom.error.ModelConfigException;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How rotary frequencies are stretched beyond the trained positions.
 *
 * <p>Read from {@code rope_scaling} (published checkpoints) or {@code rope_parameters}
 * (transformers 5); the kind is called {@code type} or {@code rope_type}. A section without a kind
 * is refused unless it holds nothing but the base, since it would silently mean "no scaling".
 */
public sealed interface RopeScaling {
  /** Frequencies as trained. */
  record None() implements RopeScaling {}

  /**
   * All positions divided by a factor.
   *
   * @param factor at least 1
   */
  record Linear(double factor) implements RopeScaling {}

  /**
   * YaRN (arXiv:2309.00071).
   *
   * @param factor by which the context grows, at least 1
   * @param originalMaxPositions trained context
   * @param betaFast rotations above which a frequency is kept; 32 if the file does not say
   * @param betaSlow rotations below which a frequency is divided by factor; 1 if not said
   * @param mscale 0 if not said
   * @param mscaleAllDim 0 if not said; DeepSeek's softmax correction follows from it
   * @param attentionFactor the amplitude of cos and sin, or null: then it follows from factor,
   *     mscale and mscaleAllDim
   * @param amplitudeFactor {@code attn_factor} of R1-0528-Qwen3, which multiplies the amplitude
   *     (transformers ignores it), or null
   * @param truncate whether the ends of the ramp are rounded to whole frequencies
   */
  record Yarn(
      double factor,
      int originalMaxPositions,
      double betaFast,
      double betaSlow,
      double mscale,
      double mscaleAllDim,
      @Nullable Double attentionFactor,
      @Nullable Double amplitudeFactor,
      boolean truncate)
      implements RopeScaling {

    /** The same without {@code attn_factor}, as transformers reads it. */
    public Yarn withoutAmplitudeFactor() {
      return new Yarn(
          factor,
          originalMaxPositions,
          betaFast,
          betaSlow,
          mscale,
          mscaleAllDim,
          attentionFactor,
          null,
          truncate);
    }
  }

  /**
   * The bands of Llama 3.1.
   *
   * @param factor by which long wavelengths are stretched, at least 1
   * @param lowFreqFactor wavelengths above originalMaxPositions / lowFreqFactor are stretched
   * @param highFreqFactor wavelengths below originalMaxPositions / highFreqFactor are kept; larger
   *     than lowFreqFactor
   * @param originalMaxPositions trained context
   */
  record Llama3(
      double factor, double lowFreqFactor, double highFreqFactor, int originalMaxPositions)
      implements RopeScaling {}

  /** The keys that a section without a kind may have. */
  Set<String> BASE_KEYS = Set.of("rope_theta", "partial_rotary_factor");

  /** The kinds that can be read. */
  List<String> KNOWN = List.of("default", "linear", "yarn", "llama3");

  /** The scaling of a whole configuration; see {@link ModelConfig#ropeScaling}. */
  static RopeScaling of(ModelConfig config) {
    if (config.has("rope_parameters")) {
      return ofSection(config.objectAt("rope_parameters"));
    }
    return config.has("rope_scaling") ? ofSection(config.objectAt("rope_scaling")) : new None();
  }

  /**
   * The scaling that one section describes, for models with several.
   *
   * @param section the object that holds {@code rope_type} or {@code type}
   * @throws ModelConfigException if the kind is missing or unknown, or one of its keys is missing
   *     or out of range
   */
  static RopeScaling ofSection(ModelConfig section) {
    return switch (kind(section)) {
      case "linear" -> new Linear(factor(section));
      case "yarn" -> yarn(section);
      case "llama3" -> llama3(section);
      default -> new None();
    };
  }

  private static String kind(ModelConfig section) {
    String key = section.has("rope_type") ? "rope_type" : "type";
    if (section.has("type") && !section.stringAt("type").equals(section.stringAt(key))) {
      throw section.broken("type", "must equal rope_type where both are given");
    }
    if (!section.has(key) && !BASE_KEYS.containsAll(section.json().fields().keySet())) {
      throw section.broken("rope_type", "must be one of " + KNOWN);
    }
    return section.oneOf(key, KNOWN, "default");
  }

  private static double factor(ModelConfig section) {
    return section.doubleAt("factor", 1, 1e6);
  }

  private static int originalMaxPositions(ModelConfig section) {
    return section.intAt("original_max_position_embeddings", 1, 1 << 30);
  }

  private static Yarn yarn(ModelConfig section) {
    Yarn yarn =
        new Yarn(
            factor(section),
            originalMaxPositions(section),
            section.doubleAt("beta_fast", 1e-3, 1e6, 32),
            section.doubleAt("beta_slow", 1e-3, 1e6, 1),
            section.doubleAt("mscale", 0, 100, 0),
            section.doubleAt("mscale_all_dim", 0, 100, 0),
            section.has("attention_factor") ? section.doubleAt("attention_factor", 0, 100) : null,
            section.has("attn_factor") ? section.doubleAt("attn_factor", 0, 100) : null,
            section.booleanAt("truncate", true));
    if (yarn.betaFast() < yarn.betaSlow()) {
      throw section.broken("beta_fast", "must be >= beta_slow (" + yarn.betaSlow() + ")");
    }
    return yarn;
  }

  private static Llama3 llama3(ModelConfig section) {
    Llama3 llama3 =
        new Llama3(
            factor(section),
            section.doubleAt("low_freq_factor", 1e-3, 1e6),
            section.doubleAt("high_freq_factor", 1e-3, 1e6),
            originalMaxPositions(section));
    if (llama3.highFreqFactor() <= llama3.lowFreqFactor()) {
      throw section.broken(
          "high_freq_factor", "must be > low_freq_factor (" + llama3.lowFreqFactor() + ")");
    }
    return llama3;
  }
}
