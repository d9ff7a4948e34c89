package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.checkpoint.RopeScaling;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import java.util.List;

/**
 * The hyperparameters that models with latent attention share, under the names of config.json.
 *
 * @param vocabSize V
 * @param hiddenSize C
 * @param intermediateSize width of dense feed-forward layers
 * @param moeIntermediateSize width of one expert
 * @param numHiddenLayers layers, without those of multi-token prediction
 * @param numHeads H
 * @param qLoraRank rank of the query's down projection, 0 where queries have none
 * @param kvLoraRank L
 * @param qkNopeHeadDim elements of a head without position
 * @param qkRopeHeadDim elements of a head with position
 * @param vHeadDim elements of a value head
 * @param numExperts E, 0 where all layers are dense
 * @param numSharedExperts experts that every token uses
 * @param firstKDenseReplace leading dense layers
 * @param moeLayerFreq every how many layers there is a mixture of experts
 * @param maxPositionEmbeddings longest sequence
 * @param rmsNormEps epsilon of the norms
 * @param tieWordEmbeddings whether the head is the embedding
 * @param attentionBias whether projections of attention have biases
 * @param rope rotary embedding
 * @param softmaxScale factor on attention scores
 */
record LatentConfig(
    int vocabSize,
    int hiddenSize,
    int intermediateSize,
    int moeIntermediateSize,
    int numHiddenLayers,
    int numHeads,
    int qLoraRank,
    int kvLoraRank,
    int qkNopeHeadDim,
    int qkRopeHeadDim,
    int vHeadDim,
    int numExperts,
    int numSharedExperts,
    int firstKDenseReplace,
    int moeLayerFreq,
    int maxPositionEmbeddings,
    double rmsNormEps,
    boolean tieWordEmbeddings,
    boolean attentionBias,
    RopeSpec rope,
    double softmaxScale) {

  private static final int MAX_WIDTH = 1 << 20;
  private static final int MAX_VOCAB = 1 << 24;
  private static final int MAX_COUNT = 1 << 16;

  static LatentConfig of(ModelConfig c) {
    c.oneOf("hidden_act", List.of("silu"), "silu");
    int nope = c.intAt("qk_nope_head_dim", 1, MAX_WIDTH);
    int ropeDim = c.intAt("qk_rope_head_dim", 2, MAX_WIDTH);
    if (ropeDim % 2 != 0) {
      throw c.broken("qk_rope_head_dim", "must be even");
    }
    int numExperts = c.intAt("n_routed_experts", 0, MAX_COUNT, 0);
    return new LatentConfig(
        c.intAt("vocab_size", 1, MAX_VOCAB),
        c.intAt("hidden_size", 1, MAX_WIDTH),
        c.intAt("intermediate_size", 1, MAX_WIDTH),
        numExperts == 0 ? 0 : c.intAt("moe_intermediate_size", 1, MAX_WIDTH),
        c.intAt("num_hidden_layers", 1, 4096),
        c.intAt("num_attention_heads", 1, MAX_COUNT),
        c.intAt("q_lora_rank", 0, MAX_WIDTH, 0),
        c.intAt("kv_lora_rank", 1, MAX_WIDTH),
        nope,
        ropeDim,
        c.intAt("v_head_dim", 1, MAX_WIDTH),
        numExperts,
        c.intAt("n_shared_experts", 0, MAX_COUNT, 0),
        c.intAt("first_k_dense_replace", 0, 4096, 0),
        c.intAt("moe_layer_freq", 1, 4096, 1),
        c.intAt("max_position_embeddings", 1, 1 << 30),
        c.doubleAt("rms_norm_eps", 1e-12, 0.1),
        c.booleanAt("tie_word_embeddings", false),
        c.booleanAt("attention_bias", false),
        rope(c, ropeDim),
        softmaxScale(c, nope + ropeDim));
  }

  private static RopeSpec rope(ModelConfig c, int dim) {
    boolean known =
        c.ropeScaling() instanceof RopeScaling.None || c.ropeScaling() instanceof RopeScaling.Yarn;
    if (!known) {
      throw c.broken("rope_scaling", "must be of type yarn or absent");
    }
    RopeLayout layout =
        c.booleanAt("rope_interleave", true) ? RopeLayout.INTERLEAVED : RopeLayout.HALF_SPLIT;
    return RopeFrequencies.spec(dim, c.ropeTheta(10_000), c.ropeScaling(), layout);
  }

  private static double softmaxScale(ModelConfig c, int headDim) {
    double correction =
        c.ropeScaling() instanceof RopeScaling.Yarn yarn
            ? RopeFrequencies.softmaxCorrection(yarn)
            : 1;
    return correction / Math.sqrt(headDim);
  }

  /** Returns the feed-forward parts with their router. */
  DecoderParts.FeedForward feedForward(RouterSpec router) {
    return new DecoderParts.FeedForward(
        intermediateSize,
        moeIntermediateSize,
        numExperts,
        numSharedExperts,
        firstKDenseReplace,
        moeLayerFreq,
        router);
  }

  /** Returns the width of a query head. */
  int qkHeadDim() {
    return qkNopeHeadDim + qkRopeHeadDim;
  }
}
