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
            GroupedQueryModel.Projections.of(config),
            feedForward(config),
            new Weights(catalog))
        .program();
  }

  private static DecoderParts.FeedForward feedForward(ModelConfig config) {
    int numExperts = config.intAt("n_routed_experts", 0, 1 << 16, 0);
    if (numExperts == 0) {
      return DecoderParts.FeedForward.of(config, new RouterSpec.SoftmaxGreedy(1, 1, false, 1));
    }
    config.oneOf("scoring_func", List.of("softmax"), "softmax");
    int topK = config.intAt("num_experts_per_tok", 1, numExperts);
    boolean normTopKProb = config.booleanAt("norm_topk_prob", false);
    return DecoderParts.FeedForward.of(
        config, new RouterSpec.SoftmaxGreedy(numExperts, topK, normTopKProb, 1));
  }
}
