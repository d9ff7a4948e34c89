package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Program;
import java.util.List;

/** DeepSeek-MoE 16B (arXiv 2401.06066): plain attention, a softmax router and shared experts. */
public final class DeepSeekMoe implements Architecture {

  DeepSeekMoe() {}

  @Override
  public String modelType() {
    return "deepseek";
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
            GroupedQueryModel.Projections.PLAIN,
            feedForward(config),
            new Weights(catalog))
        .program();
  }

  private static DecoderParts.FeedForward feedForward(ModelConfig config) {
    int dense = config.intAt("intermediate_size", 1, 1 << 20);
    int numExperts = config.intAt("n_routed_experts", 0, 1 << 16, 0);
    if (numExperts == 0) {
      return DecoderParts.FeedForward.dense(dense);
    }
    config.oneOf("scoring_func", List.of("softmax"), "softmax");
    return new DecoderParts.FeedForward(
        dense,
        config.intAt("moe_intermediate_size", 1, 1 << 20),
        numExperts,
        config.intAt("n_shared_experts", 0, 1 << 16, 0),
        config.intAt("first_k_dense_replace", 0, 4096, 0),
        config.intAt("moe_layer_freq", 1, 4096, 1),
        new RouterSpec.SoftmaxGreedy(
            numExperts,
            config.intAt("num_experts_per_tok", 1, numExperts),
            config.booleanAt("norm_topk_prob", false),
            1));
  }
}
