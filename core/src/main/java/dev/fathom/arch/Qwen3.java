package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;

/**
 * R1-0528-Qwen3-8B: the Qwen3 architecture (arXiv 2505.09388), norms on the heads of query and key.
 */
public final class Qwen3 implements Architecture {

  Qwen3() {}

  @Override
  public String modelType() {
    return "qwen3";
  }

  @Override
  public int maxContextTokens(ModelConfig config) {
    return GroupedQueryConfig.of(config, Compatibility.PUBLISHED).maxPositionEmbeddings();
  }

  @Override
  public Program program(ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    if (config.booleanAt("attention_bias", false)) {
      throw config.broken("attention_bias", "must be false");
    }
    return new GroupedQueryModel(
            modelType(),
            GroupedQueryConfig.of(config, compatibility),
            GroupedQueryModel.Projections.HEAD_NORM,
            DecoderParts.FeedForward.dense(config.intAt("intermediate_size", 1, 1 << 20)),
            new Weights(catalog))
        .program();
  }
}
