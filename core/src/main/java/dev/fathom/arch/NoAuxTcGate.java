package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.moe.RouterSpec;
import java.util.List;

/** The sigmoid gate without auxiliary loss of V3 and V3.2 (arXiv 2412.19437, section 2.1.2). */
final class NoAuxTcGate {

  private NoAuxTcGate() {}

  /** Reads the gate's rule; of one expert where there are none. */
  static RouterSpec router(ModelConfig config, int numExperts) {
    if (numExperts == 0) {
      return new RouterSpec.SigmoidNoAuxTc(1, 1, 1, 1, true, 1);
    }
    config.oneOf("scoring_func", List.of("sigmoid"), "sigmoid");
    config.oneOf("topk_method", List.of("noaux_tc"), "noaux_tc");
    ExpertGroups groups = ExpertGroups.of(config, numExperts);
    if (groups.count() > 1 && numExperts / groups.count() < 2) {
      throw config.broken("n_group", "must leave >= 2 experts a group of " + numExperts);
    }
    return new RouterSpec.SigmoidNoAuxTc(
        numExperts,
        groups.topK(),
        groups.count(),
        groups.kept(),
        config.booleanAt("norm_topk_prob", true),
        config.doubleAt("routed_scaling_factor", 1e-6, 1e6, 1));
  }
}
