package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;
import java.util.List;

/** A model family: turns a configuration and a catalog of weights into a program. Stateless. */
public sealed interface Architecture
    permits CustomArchitecture,
        DeepSeekMoe,
        DeepSeekV2,
        DeepSeekV3,
        DeepSeekV32,
        DeepSeekV4,
        Llama,
        Qwen2,
        Qwen3 {

  /** Returns the model_type of config.json that this family reads. */
  String modelType();

  /** Returns the longest sequence, in tokens, that the configuration allows. */
  int maxContextTokens(ModelConfig config);

  /**
   * Describes one step of the model.
   *
   * <p>Outputs: {@code logits} [R, V]; {@code hidden.0} after the embedding, {@code hidden.i} after
   * layer i, and for the last layer after the final norm, each [T, C]; and in families with
   * multi-token prediction {@link Program#STATE}, what its modules continue.
   *
   * @throws dev.fathom.error.ModelConfigException where a value breaks a rule or a weight is
   *     missing or has another shape
   */
  Program program(ModelConfig config, TensorCatalog catalog, Compatibility compatibility);

  /**
   * Describes the modules of multi-token prediction that the checkpoint stores, each a draft
   * program of its own: given the state of a token and the token that follows it, the logits of the
   * token after that. None where the configuration names none or the checkpoint was saved without
   * them.
   *
   * <p>Inputs: {@code tokens}, and {@link Program#HIDDEN}, the states that the main program or a
   * draft put out as {@link Program#STATE}. Outputs: {@code logits} and {@code state}. A token's
   * position is that of its state, one below the token's own. Layers of drafts follow the main
   * program's in the KV cache.
   *
   * @throws dev.fathom.error.ModelConfigException where a value breaks a rule or a module lacks a
   *     weight
   */
  default List<Program> mtpPrograms(
      ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    return List.of();
  }

  /** Describes one step of the model as it was published. */
  default Program program(ModelConfig config, TensorCatalog catalog) {
    return program(config, catalog, Compatibility.PUBLISHED);
  }
}
