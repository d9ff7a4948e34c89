package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;

/** A model family: turns a configuration and a catalog of weights into a program. Stateless. */
public sealed interface Architecture
    permits DeepSeekMoe, DeepSeekV2, DeepSeekV3, DeepSeekV32, DeepSeekV4, Llama, Qwen2, Qwen3 {

  /** Returns the model_type of config.json that this family reads. */
  String modelType();

  /** Returns the longest sequence, in tokens, that the configuration allows. */
  int maxContextTokens(ModelConfig config);

  /**
   * Describes one step of the model.
   *
   * <p>Outputs: {@code logits} [R, V]; {@code hidden.0} after the embedding, {@code hidden.i} after
   * layer i, and for the last layer after the final norm, each [T, C].
   *
   * @throws dev.fathom.error.ModelConfigException where a value breaks a rule or a weight is
   *     missing or has another shape
   */
  Program program(ModelConfig config, TensorCatalog catalog, Compatibility compatibility);

  /** Describes one step of the model as it was published. */
  default Program program(ModelConfig config, TensorCatalog catalog) {
    return program(config, catalog, Compatibility.PUBLISHED);
  }
}
