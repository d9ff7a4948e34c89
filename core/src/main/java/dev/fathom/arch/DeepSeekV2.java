package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Program;
import java.util.List;

/**
 * DeepSeek-V2, V2-Lite, V2.5 and Coder-V2 (arXiv 2405.04434): latent attention and a mixture of
 * experts behind a softmax gate, with or without groups.
 */
public final class DeepSeekV2 implements Architecture {

  DeepSeekV2() {}

  @Override
  public String modelType() {
    return "deepseek_v2";
  }

  @Override
  public int maxContextTokens(ModelConfig config) {
    return LatentConfig.of(config).maxPositionEmbeddings();
  }

  @Override
  public Program program(ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    if (!config.booleanAt("use_mla", true)) {
      throw config.broken("use_mla", "must be true: models without latent attention are not read");
    }
    LatentConfig c = LatentConfig.of(config);
    return new LatentModel(modelType(), c, router(config, c), null, new Weights(catalog)).program();
  }

  private static RouterSpec router(ModelConfig config, LatentConfig c) {
    if (c.numExperts() == 0) {
      return new RouterSpec.SoftmaxGreedy(1, 1, false, 1);
    }
    config.oneOf("scoring_func", List.of("softmax"), "softmax");
    String method =
        config.oneOf("topk_method", List.of("greedy", "group_limited_greedy"), "greedy");
    boolean normTopKProb = config.booleanAt("norm_topk_prob", false);
    double scale = config.doubleAt("routed_scaling_factor", 1e-6, 1e6, 1);
    ExpertGroups groups = ExpertGroups.of(config, c.numExperts());
    return method.equals("greedy")
        ? new RouterSpec.SoftmaxGreedy(c.numExperts(), groups.topK(), normTopKProb, scale)
        : new RouterSpec.SoftmaxGroupLimited(
            c.numExperts(), groups.topK(), groups.count(), groups.kept(), normTopKProb, scale);
  }
}
