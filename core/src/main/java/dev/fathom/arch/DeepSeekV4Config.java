package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.checkpoint.RopeScaling;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import java.util.ArrayList;
import java.util.List;

/**
 * The hyperparameters of DeepSeek-V4, from the published keys or those of transformers.
 *
 * @param vocabSize V
 * @param hiddenSize C
 * @param numHeads H
 * @param headDim D, width of a head and of the shared key and value
 * @param qkRopeHeadDim last elements of a head that are turned
 * @param qLoraRank rank of the query's down projection
 * @param oGroups groups of heads in the output projection
 * @param oLoraRank rank of a group's output projection
 * @param slidingWindow tokens that a query sees uncompressed
 * @param layers kind of each layer
 * @param mtpLayers kind of the layer of each module of multi-token prediction
 * @param tieWordEmbeddings whether the head is the embedding
 * @param indexNumHeads heads of the indexer
 * @param indexHeadDim width of an indexer head
 * @param indexTopK entries that a token attends to
 * @param moeIntermediateSize width of an expert
 * @param numSharedExperts experts that every token uses
 * @param numHashLayers first layers, whose experts are chosen by token id
 * @param router how experts are scored
 * @param swigluLimit clamp of activations
 * @param hcMult N, residual streams
 * @param hcSinkhornIters rounds of Sinkhorn
 * @param hcEps epsilon of hyper-connections
 * @param rmsNormEps epsilon of the norms
 * @param maxPositionEmbeddings longest sequence
 * @param mainRope rotation of layers with a window only
 * @param compressRope rotation of layers with compressed entries
 */
record DeepSeekV4Config(
    int vocabSize,
    int hiddenSize,
    int numHeads,
    int headDim,
    int qkRopeHeadDim,
    int qLoraRank,
    int oGroups,
    int oLoraRank,
    int slidingWindow,
    List<Layer> layers,
    List<Layer> mtpLayers,
    boolean tieWordEmbeddings,
    int indexNumHeads,
    int indexHeadDim,
    int indexTopK,
    int moeIntermediateSize,
    int numSharedExperts,
    int numHashLayers,
    RouterSpec router,
    double swigluLimit,
    int hcMult,
    int hcSinkhornIters,
    double hcEps,
    double rmsNormEps,
    int maxPositionEmbeddings,
    RopeSpec mainRope,
    RopeSpec compressRope) {

  /** Ratio of published layers whose entries overlap and are chosen by an indexer. */
  private static final int SPARSE_RATIO = 4;

  private static final int MAX_WIDTH = 1 << 20;

  /** What a layer attends to beside its window. */
  enum Kind {
    /** Nothing. */
    SLIDING,
    /** Overlapping entries that an indexer chooses. */
    SPARSE,
    /** All entries. */
    HEAVY
  }

  /**
   * One layer's attention.
   *
   * @param kind what it attends to
   * @param ratio tokens that an entry stands for, 0 where there are none
   */
  record Layer(Kind kind, int ratio) {}

  static DeepSeekV4Config of(ModelConfig c) {
    c.oneOf("hidden_act", List.of("silu"), "silu");
    int heads = c.intAt("num_attention_heads", 1, 1 << 16);
    int headDim = c.intAt("head_dim", 2, MAX_WIDTH);
    int rope = c.intAt("qk_rope_head_dim", 2, headDim);
    int groups = c.intAt("o_groups", 1, heads);
    if (rope % 2 != 0) {
      throw c.broken("qk_rope_head_dim", "must be even");
    }
    if (heads % groups != 0) {
      throw c.broken("o_groups", "must divide num_attention_heads (" + heads + ")");
    }
    return new DeepSeekV4Config(
        c.intAt("vocab_size", 1, 1 << 24),
        c.intAt("hidden_size", 1, MAX_WIDTH),
        heads,
        headDim,
        rope,
        c.intAt("q_lora_rank", 1, MAX_WIDTH),
        groups,
        c.intAt("o_lora_rank", 1, MAX_WIDTH),
        c.intAt("sliding_window", 1, MAX_WIDTH),
        layers(c, c.intAt("num_hidden_layers", 1, 4096)),
        mtpLayers(c, c.intAt("num_hidden_layers", 1, 4096)),
        c.booleanAt("tie_word_embeddings", false),
        c.intAt("index_n_heads", 1, 1 << 16),
        c.intAt("index_head_dim", rope, MAX_WIDTH),
        c.intAt("index_topk", 1, 1 << 24),
        c.intAt("moe_intermediate_size", 1, MAX_WIDTH),
        c.intAt("n_shared_experts", 0, 1 << 16, 0),
        numHashLayers(c),
        router(c),
        c.doubleAt("swiglu_limit", 1e-6, 1e30, Double.MAX_VALUE),
        c.intAt("hc_mult", 1, 64),
        c.intAt("hc_sinkhorn_iters", 1, 1000),
        c.doubleAt("hc_eps", 0, 0.1),
        c.doubleAt("rms_norm_eps", 1e-12, 0.1),
        c.intAt("max_position_embeddings", 1, 1 << 30),
        mainRope(c, rope),
        compressRope(c, rope));
  }

  private static List<Layer> layers(ModelConfig c, int numLayers) {
    List<Layer> layers = described(c);
    if (layers.size() < numLayers) {
      throw c.broken("num_hidden_layers", "must be <= the " + layers.size() + " layers described");
    }
    return List.copyOf(layers.subList(0, numLayers));
  }

  /** The modules of multi-token prediction follow the layers; without a word they only slide. */
  private static List<Layer> mtpLayers(ModelConfig c, int numLayers) {
    List<Layer> described = described(c);
    List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < c.intAt("num_nextn_predict_layers", 0, 64, 0); i++) {
      boolean known = numLayers + i < described.size();
      layers.add(known ? described.get(numLayers + i) : new Layer(Kind.SLIDING, 0));
    }
    return List.copyOf(layers);
  }

  private static List<Layer> described(ModelConfig c) {
    List<Layer> layers = new ArrayList<>();
    if (c.has("compress_ratios")) {
      for (int ratio : c.intsAt("compress_ratios", 0, 1 << 16)) {
        Kind kind = ratio == SPARSE_RATIO ? Kind.SPARSE : Kind.HEAVY;
        layers.add(new Layer(ratio == 0 ? Kind.SLIDING : kind, ratio));
      }
    } else {
      ModelConfig rates = c.objectAt("compress_rates");
      for (String type : c.stringsAt("layer_types")) {
        layers.add(layer(c, rates, type));
      }
    }
    return layers;
  }

  private static Layer layer(ModelConfig c, ModelConfig rates, String type) {
    return switch (type) {
      case "sliding_attention" -> new Layer(Kind.SLIDING, 0);
      case "compressed_sparse_attention" -> new Layer(Kind.SPARSE, rates.intAt(type, 1, 1 << 16));
      case "heavily_compressed_attention" -> new Layer(Kind.HEAVY, rates.intAt(type, 1, 1 << 16));
      default ->
          throw c.broken(
              "layer_types",
              "must hold sliding_attention, compressed_sparse_attention or"
                  + " heavily_compressed_attention");
    };
  }

  private static int numHashLayers(ModelConfig c) {
    if (c.has("num_hash_layers")) {
      return c.intAt("num_hash_layers", 0, 4096);
    }
    List<String> types = c.stringsAt("mlp_layer_types");
    int n = 0;
    while (n < types.size() && types.get(n).equals("hash_moe")) {
      n++;
    }
    return n;
  }

  private static RouterSpec router(ModelConfig c) {
    c.oneOf("scoring_func", List.of("sqrtsoftplus"), "sqrtsoftplus");
    c.oneOf("topk_method", List.of("noaux_tc"), "noaux_tc");
    if (!c.booleanAt("norm_topk_prob", true)) {
      throw c.broken("norm_topk_prob", "must be true");
    }
    int numExperts = c.intAt("n_routed_experts", 1, 1 << 16);
    return new RouterSpec.SqrtSoftplusNoAuxTc(
        numExperts,
        c.intAt("num_experts_per_tok", 1, numExperts),
        c.doubleAt("routed_scaling_factor", 1e-6, 1e6, 1));
  }

  private static RopeSpec mainRope(ModelConfig c, int dim) {
    double base =
        c.isObject("rope_parameters") && c.objectAt("rope_parameters").isObject("main")
            ? c.objectAt("rope_parameters").objectAt("main").ropeTheta(10_000)
            : c.doubleAt("rope_theta", 1, 1e12, 10_000);
    return new RopeSpec(RopeFrequencies.plain(dim, base), 1, RopeLayout.INTERLEAVED);
  }

  /** YaRN without amplitude: V4 scales frequencies only. */
  private static RopeSpec compressRope(ModelConfig c, int dim) {
    double base = c.doubleAt("compress_rope_theta", 1, 1e12);
    RopeScaling scaling =
        c.isObject("rope_parameters") && c.objectAt("rope_parameters").isObject("compress")
            ? RopeScaling.ofSection(c.objectAt("rope_parameters").objectAt("compress"))
            : c.ropeScaling();
    float[] frequencies =
        scaling instanceof RopeScaling.Yarn yarn
            ? RopeFrequencies.yarn(dim, base, yarn)
            : RopeFrequencies.plain(dim, base);
    return new RopeSpec(frequencies, 1, RopeLayout.INTERLEAVED);
  }
}
