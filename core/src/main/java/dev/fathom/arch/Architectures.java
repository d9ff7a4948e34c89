package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import java.util.List;

/** The registry of model families. */
public final class Architectures {

  private static final List<Architecture> ALL =
      List.of(
          new DeepSeekMoe(),
          new DeepSeekV2(),
          new DeepSeekV3(),
          new DeepSeekV32(),
          new DeepSeekV4(),
          new Llama(),
          new Qwen2(),
          new Qwen3());

  private static final String V41 = "deepseek_v41";

  /** Why that family is refused although its name is known: nothing tells right from wrong. */
  private static final String V41_LACKS =
      "its vision tower is not published, and of its text model neither reference logits nor a"
          + " released implementation of engram tables, shared compressed caches and quantized"
          + " activations exist to check against";

  private Architectures() {}

  /** Returns every registered family. */
  public static List<Architecture> all() {
    return ALL;
  }

  /**
   * Returns the family of a configuration.
   *
   * @throws ModelConfigException where no family has its model_type; V4.1 is refused by name
   */
  public static Architecture forConfig(ModelConfig config) {
    String modelType = config.modelType();
    for (Architecture architecture : ALL) {
      if (architecture.modelType().equals(modelType)) {
        return architecture;
      }
    }
    if (modelType.startsWith(V41)) {
      throw new ModelConfigException(
          ErrorCode.UNKNOWN_ARCHITECTURE,
          "DeepSeek-V4.1 (" + Text.quote(modelType) + ") cannot be loaded",
          V41_LACKS,
          "use a checkpoint of one of: " + known());
    }
    throw new ModelConfigException(
        ErrorCode.UNKNOWN_ARCHITECTURE,
        "The architecture " + Text.quote(modelType) + " is not known",
        "config.json says model_type=" + Text.quote(modelType),
        "use a checkpoint of one of: " + known());
  }

  /** Returns the known model types, separated by commas. */
  public static String known() {
    return String.join(", ", ALL.stream().map(Architecture::modelType).sorted().toList());
  }
}
