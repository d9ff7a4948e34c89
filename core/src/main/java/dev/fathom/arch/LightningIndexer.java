package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;

/**
 * The part of DeepSeek-V3.2's attention that chooses positions: heads of its own score every
 * earlier token by a key of its own. Rotation is half-split and covers the first elements of a
 * head, unlike in the attention that it serves.
 */
final class LightningIndexer {

  /** Epsilon of the key's layer norm; the published code does not read it from the file. */
  private static final double KEY_NORM_EPS = 1e-6;

  /**
   * The indexer's keys of config.json.
   *
   * @param indexNumHeads heads of the indexer
   * @param indexHeadDim elements of a head
   * @param indexTopK positions that a token attends to
   */
  record Config(int indexNumHeads, int indexHeadDim, int indexTopK) {

    static Config of(ModelConfig c, int ropeDim) {
      return new Config(
          c.intAt("index_n_heads", 1, 1 << 16),
          c.intAt("index_head_dim", ropeDim, 1 << 16),
          c.intAt("index_topk", 1, 1 << 24));
    }
  }

  private final ProgramBuilder g;
  private final Weights w;
  private final DecoderParts parts;
  private final LatentConfig c;
  private final Config index;
  private final RopeSpec rope;

  LightningIndexer(ProgramBuilder g, Weights w, DecoderParts parts, LatentConfig c, Config index) {
    this.g = g;
    this.w = w;
    this.parts = parts;
    this.c = c;
    this.index = index;
    this.rope = c.rope().withLayout(RopeLayout.HALF_SPLIT);
  }

  /** Returns the positions that each token attends to: [T, min(index_topk, context)] i32. */
  Value select(Value x, Value queryLatent, int layer) {
    String at = DecoderParts.prefix(layer) + "self_attn.indexer.";
    int heads = index.indexNumHeads();
    int dim = index.indexHeadDim();
    KvSpec.IndexerKeys cache = new KvSpec.IndexerKeys(layer, dim);

    Value query = g.reshape(parts.linear(queryLatent, at + "wq_b", heads * dim, false), heads, dim);
    query = g.rope(query, rope, 0);

    WeightRef keyNorm = w.vector(at + "k_norm.weight", dim);
    WeightRef keyBias = w.vector(at + "k_norm.bias", dim);
    Value key = g.layerNorm(parts.linear(x, at + "wk", dim, false), keyNorm, keyBias, KEY_NORM_EPS);
    g.storeKv(cache, g.rope(key, rope, 0));

    WeightRef headWeights = w.dense(at + "weights_proj.weight", heads, c.hiddenSize());
    double scale = 1 / Math.sqrt((double) heads * dim);
    int topK = Math.min(index.indexTopK(), c.maxPositionEmbeddings());
    return g.topKIndex(query, g.linear(x, headWeights), cache, scale, topK);
  }
}
