package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.checkpoint.RopeScaling;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import java.util.List;

/**
 * The hyperparameters that models with grouped-query attention share, under the names of
 * config.json.
 *
 * @param vocabSize V
 * @param hiddenSize C
 * @param numHiddenLayers layers
 * @param numHeads H
 * @param numKvHeads Hkv, divides H
 * @param headDim D
 * @param maxPositionEmbeddings longest sequence
 * @param rmsNormEps epsilon of the norms
 * @param tieWordEmbeddings whether the head is the embedding
 * @param rope rotary embedding
 */
record GroupedQueryConfig(
    int vocabSize,
    int hiddenSize,
    int numHiddenLayers,
    int numHeads,
    int numKvHeads,
    int headDim,
    int maxPositionEmbeddings,
    double rmsNormEps,
    boolean tieWordEmbeddings,
    RopeSpec rope) {

  static GroupedQueryConfig of(ModelConfig c, Compatibility compatibility) {
    return c.has("head_dim")
        ? of(c, compatibility, c.intAt("head_dim", 2, 1 << 16))
        : ofWholeHidden(c, compatibility);
  }

  /** As {@link #of}, with heads that make up the hidden vector whatever head_dim says. */
  static GroupedQueryConfig ofWholeHidden(ModelConfig c, Compatibility compatibility) {
    int hidden = c.intAt("hidden_size", 1, 1 << 20);
    int heads = c.intAt("num_attention_heads", 1, 1 << 16);
    if (hidden % heads != 0) {
      throw c.broken("num_attention_heads", "must divide hidden_size (" + hidden + ")");
    }
    return of(c, compatibility, hidden / heads);
  }

  private static GroupedQueryConfig of(ModelConfig c, Compatibility compatibility, int headDim) {
    c.oneOf("hidden_act", List.of("silu"), "silu");
    requireFullAttention(c);
    if (c.booleanAt("mlp_bias", false)) {
      throw c.broken("mlp_bias", "must be false");
    }
    int hidden = c.intAt("hidden_size", 1, 1 << 20);
    int heads = c.intAt("num_attention_heads", 1, 1 << 16);
    int kvHeads = c.intAt("num_key_value_heads", 1, 1 << 16, heads);
    if (heads % kvHeads != 0) {
      throw c.broken("num_key_value_heads", "must divide num_attention_heads (" + heads + ")");
    }
    if (headDim % 2 != 0) {
      throw c.broken(c.has("head_dim") ? "head_dim" : "hidden_size", "must give even heads");
    }
    return new GroupedQueryConfig(
        c.intAt("vocab_size", 1, 1 << 24),
        hidden,
        c.intAt("num_hidden_layers", 1, 4096),
        heads,
        kvHeads,
        headDim,
        c.intAt("max_position_embeddings", 1, 1 << 30),
        c.doubleAt("rms_norm_eps", 1e-12, 0.1),
        c.booleanAt("tie_word_embeddings", false),
        RopeFrequencies.spec(
            headDim, c.ropeTheta(10_000), scaling(c, compatibility), RopeLayout.HALF_SPLIT));
  }

  private static void requireFullAttention(ModelConfig c) {
    if (c.booleanAt("use_sliding_window", false)) {
      throw c.broken("use_sliding_window", "must be false");
    }
    for (String type : c.stringsAt("layer_types")) {
      if (!type.equals("full_attention")) {
        throw c.broken("layer_types", "must hold full_attention only");
      }
    }
  }

  private static RopeScaling scaling(ModelConfig c, Compatibility compatibility) {
    RopeScaling scaling = c.ropeScaling();
    return scaling instanceof RopeScaling.Yarn yarn && compatibility == Compatibility.TRANSFORMERS
        ? yarn.withoutAmplitudeFactor()
        : scaling;
  }
}
