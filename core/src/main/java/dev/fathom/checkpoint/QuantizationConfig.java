package dev.fathom.checkpoint;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import java.util.Collection;
import java.util.List;
import java.util.TreeSet;

/**
 * What {@code quantization_config} says. The tensors' names and types decide; this confirms.
 *
 * @param method {@code quant_method}: fp8, awq, gptq, compressed-tensors, ...
 * @param blockRows rows of an fp8 weight block, 0 if not said
 * @param blockCols columns of an fp8 weight block, 0 if not said
 * @param format {@code fmt}, "e4m3" if not said
 * @param activationScheme {@code activation_scheme}, "dynamic" if not said
 * @param scaleFormat {@code scale_fmt}, "ue8m0" or empty
 * @param modulesToNotConvert names of modules that stay as they are
 * @param section all keys of the section, for methods with keys of their own
 */
public record QuantizationConfig(
    String method,
    int blockRows,
    int blockCols,
    String format,
    String activationScheme,
    String scaleFormat,
    List<String> modulesToNotConvert,
    ModelConfig section) {

  /** The method of DeepSeek's own checkpoints. */
  public static final String FP8 = "fp8";

  /**
   * Reads the section.
   *
   * @throws ModelConfigException if a value has the wrong kind or range
   */
  static QuantizationConfig of(ModelConfig section) {
    return of(section, section.stringAt("quant_method"));
  }

  /** Reads a section or a file that need not say its method, as older writers left it. */
  static QuantizationConfig ofOlder(ModelConfig section, String defaultMethod) {
    return of(section, section.stringAt("quant_method", defaultMethod));
  }

  private static QuantizationConfig of(ModelConfig section, String method) {
    if (!method.equals(FP8)) {
      return new QuantizationConfig(
          method, 0, 0, "", "", "", section.stringsAt("modules_to_not_convert"), section);
    }
    List<Integer> block = section.intsAt("weight_block_size", 1, 1 << 16);
    if (!block.isEmpty() && block.size() != 2) {
      throw section.broken("weight_block_size", "must have two integers");
    }
    return new QuantizationConfig(
        method,
        block.isEmpty() ? 0 : block.get(0),
        block.isEmpty() ? 0 : block.get(1),
        section.oneOf("fmt", List.of("e4m3"), "e4m3"),
        section.oneOf("activation_scheme", List.of("dynamic", "static"), "dynamic"),
        section.oneOf("scale_fmt", List.of("", "ue8m0"), ""),
        section.stringsAt("modules_to_not_convert"),
        section);
  }

  /** Whether the block size is given. */
  public boolean hasBlocks() {
    return blockRows > 0;
  }

  /**
   * Refuses a method that the caller cannot read.
   *
   * @param known the methods it can read
   * @throws ModelConfigException if {@link #method} is not one of them
   */
  public void requireKnown(Collection<String> known) {
    if (!known.contains(method)) {
      throw new ModelConfigException(
          ErrorCode.QUANTIZATION_UNSUPPORTED,
          "The weights are quantized in a way that cannot be read",
          "quant_method must be one of "
              + new TreeSet<>(known)
              + ": quant_method="
              + Text.quote(method),
          "use a checkpoint in one of these formats, or the unquantized one and quantize while"
              + " loading");
    }
  }
}
