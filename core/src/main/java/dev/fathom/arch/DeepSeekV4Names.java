package dev.fathom.arch;

/**
 * Tensor names of DeepSeek-V4: the published ones, or the mixed ones that transformers writes.
 *
 * @param mixed whether names carry transformers' prefix
 */
record DeepSeekV4Names(boolean mixed) {

  /** Finds out which names a checkpoint uses. */
  static DeepSeekV4Names of(Weights weights) {
    return new DeepSeekV4Names(!weights.has("embed.weight") && weights.has(MIXED_EMBEDDING));
  }

  private static final String MIXED_EMBEDDING = "model.embed_tokens.weight";

  String embedding() {
    return mixed ? MIXED_EMBEDDING : "embed.weight";
  }

  String norm() {
    return mixed ? "model.norm.weight" : "norm.weight";
  }

  /** Prefix of the head's hyper-connection, before fn, base or scale. */
  String head() {
    return mixed ? "model.hc_head.hc_" : "hc_head_";
  }

  String layer(int layer) {
    return (mixed ? "model." : "") + "layers." + layer + ".";
  }

  String kvNorm() {
    return mixed ? "norm.weight" : "kv_norm.weight";
  }
}
