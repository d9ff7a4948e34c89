package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Program;
import java.util.List;

/**
 * DeepSeek-V2, V2-Lite, V2.5 and Coder-V2 (arXiv 2405.04434): latent attention and a mixture of
 * experts behind a softmax gate, with or without groups. Small models of the family (VL2-Tiny, OCR)
 * have plain attention instead: {@code use_mla: false}.
 */
public final class DeepSeekV2 implements Architecture {

  DeepSeekV2() {}

  @Override
  public String modelType() {
    return "deepseek_v2";
  }

  @Override
  public int maxContextTokens(ModelConfig config) {
    return config.intAt("max_position_embeddings", 1, 1 << 30);
  }

  @Override
  public Program program(ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    if (!config.booleanAt("use_mla", true)) {
      return plainAttention(config, catalog, compatibility);
    }
    LatentConfig c = LatentConfig.of(config);
    RouterSpec router = router(config, c.numExperts());
    return new LatentModel(modelType(), c, router, null, new Weights(catalog)).program();
  }

  private Program plainAttention(
      ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    int numExperts = config.intAt("n_routed_experts", 0, 1 << 16, 0);
    return new GroupedQueryModel(
            modelType(),
            GroupedQueryConfig.ofWholeHidden(config, compatibility),
            GroupedQueryModel.Projections.of(config),
            DecoderParts.FeedForward.of(config, router(config, numExperts)),
            new Weights(catalog))
        .program();
  }

  private static RouterSpec router(ModelConfig config, int numExperts) {
    if (numExperts == 0) {
      return new RouterSpec.SoftmaxGreedy(1, 1, false, 1);
    }
    config.oneOf("scoring_func", List.of("softmax"), "softmax");
    String method =
        config.oneOf("topk_method", List.of("greedy", "group_limited_greedy"), "greedy");
    boolean normTopKProb = config.booleanAt("norm_topk_prob", false);
    double scale = config.doubleAt("routed_scaling_factor", 1e-6, 1e6, 1);
    ExpertGroups groups = ExpertGroups.of(config, numExperts);
    return method.equals("greedy")
        ? new RouterSpec.SoftmaxGreedy(numExperts, groups.topK(), normTopKProb, scale)
        : new RouterSpec.SoftmaxGroupLimited(
            numExperts, groups.topK(), groups.count(), groups.kept(), normTopKProb, scale);
  }
}
