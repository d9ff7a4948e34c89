package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Program;
import java.util.List;

/**
 * DeepSeek-V3, R1 and V3.1 (arXiv 2412.19437): latent attention, leading dense layers, then a
 * mixture of experts behind a sigmoid gate without auxiliary loss.
 *
 * <p>The layers of multi-token prediction that follow the last one are not part of this program.
 */
public final class DeepSeekV3 implements Architecture {

  DeepSeekV3() {}

  @Override
  public String modelType() {
    return "deepseek_v3";
  }

  @Override
  public int maxContextTokens(ModelConfig config) {
    return LatentConfig.of(config).maxPositionEmbeddings();
  }

  @Override
  public Program program(ModelConfig config, TensorCatalog catalog) {
    LatentConfig c = LatentConfig.of(config);
    return new LatentModel(modelType(), c, router(config, c), new Weights(catalog)).program();
  }

  private static RouterSpec router(ModelConfig config, LatentConfig c) {
    if (c.numExperts() == 0) {
      return new RouterSpec.SigmoidNoAuxTc(1, 1, 1, 1, true, 1);
    }
    config.oneOf("scoring_func", List.of("sigmoid"), "sigmoid");
    config.oneOf("topk_method", List.of("noaux_tc"), "noaux_tc");
    ExpertGroups groups = ExpertGroups.of(config, c.numExperts());
    if (groups.count() > 1 && c.numExperts() / groups.count() < 2) {
      throw config.broken("n_group", "must leave >= 2 experts a group of " + c.numExperts());
    }
    return new RouterSpec.SigmoidNoAuxTc(
        c.numExperts(),
        groups.topK(),
        groups.count(),
        groups.kept(),
        config.booleanAt("norm_topk_prob", true),
        config.doubleAt("routed_scaling_factor", 1e-6, 1e6, 1));
  }
}
