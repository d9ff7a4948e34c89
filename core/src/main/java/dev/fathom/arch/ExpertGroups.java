package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;

/**
 * How routed experts are grouped.
 *
 * @param count groups of consecutive experts, 1 where there are none
 * @param kept groups that a token may choose from
 * @param topK experts that a token chooses
 */
record ExpertGroups(int count, int kept, int topK) {

  /** Reads n_group, topk_group and num_experts_per_tok and checks that they fit together. */
  static ExpertGroups of(ModelConfig config, int numExperts) {
    int count = config.intAt("n_group", 1, numExperts, 1);
    if (numExperts % count != 0) {
      throw config.broken("n_group", "must divide n_routed_experts (" + numExperts + ")");
    }
    int kept = config.intAt("topk_group", 1, count, count);
    int choice = numExperts / count * kept;
    int topK = config.intAt("num_experts_per_tok", 1, numExperts);
    if (topK > choice) {
      throw config.broken(
          "num_experts_per_tok", "must be <= the " + choice + " experts of the kept groups");
    }
    return new ExpertGroups(count, kept, topK);
  }
}
