package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;

/** R1-Distill-Qwen: the Qwen2 architecture (arXiv 2407.10671), biases on query, key and value. */
public final class Qwen2 implements Architecture {

  Qwen2() {}

  @Override
  public String modelType() {
    return "qwen2";
  }

  @Override
  public int maxContextTokens(ModelConfig config) {
    return GroupedQueryConfig.of(config, Compatibility.PUBLISHED).maxPositionEmbeddings();
  }

  @Override
  public Program program(ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    return new GroupedQueryModel(
            modelType(),
            GroupedQueryConfig.of(config, compatibility),
            GroupedQueryModel.Projections.QKV_BIAS,
            DecoderParts.FeedForward.dense(config.intAt("intermediate_size", 1, 1 << 20)),
            new Weights(catalog))
        .program();
  }
}
