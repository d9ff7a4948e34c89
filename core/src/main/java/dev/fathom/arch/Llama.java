package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;

/**
 * DeepSeek-LLM, Coder, Math, Prover-7B and R1-Distill-Llama: the Llama architecture (arXiv
 * 2307.09288).
 */
public final class Llama implements Architecture {

  Llama() {}

  @Override
  public String modelType() {
    return "llama";
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
            GroupedQueryModel.Projections.of(config),
            DecoderParts.FeedForward.dense(config.intAt("intermediate_size", 1, 1 << 20)),
            new Weights(catalog))
        .program();
  }
}
