package dev.fathom.arch;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;

/**
 * A decoder with multi-head latent attention and mixtures of experts (DeepSeek-V2, arXiv
 * 2405.04434, section 2), whatever its router: pre-norm residual layers, dense ones first, shared
 * experts beside the routed ones.
 */
final class LatentModel {

  /** Epsilon of the norms inside latent attention; the published code does not read it. */
  private static final double LATENT_NORM_EPS = 1e-6;

  private final ProgramBuilder g;
  private final LatentConfig c;
  private final Weights w;
  private final DecoderParts parts;

  LatentModel(String name, LatentConfig c, RouterSpec router, Weights w) {
    this.g = new ProgramBuilder(name);
    this.c = c;
    this.w = w;
    this.parts = new DecoderParts(g, w, c.hiddenSize(), c.rmsNormEps(), c.feedForward(router));
  }

  Program program() {
    WeightRef embedding = w.dense("model.embed_tokens.weight", c.vocabSize(), c.hiddenSize());
    Value h = g.embed(g.tokens(), embedding);
    for (int i = 0; i < c.numHiddenLayers(); i++) {
      g.output("hidden." + i, h);
      h = g.add(h, attention(parts.norm(h, i, "input_layernorm"), i));
      h = g.add(h, parts.feedForward(parts.norm(h, i, "post_attention_layernorm"), i));
    }
    Value last = g.rmsNorm(h, w.vector("model.norm.weight", c.hiddenSize()), c.rmsNormEps());
    g.output("hidden." + c.numHiddenLayers(), last);
    g.output(Program.LOGITS, g.logits(last, parts.head(embedding, c.tieWordEmbeddings())));
    return g.build();
  }

  private Value attention(Value x, int layer) {
    String at = DecoderParts.prefix(layer) + "self_attn.";
    int rank = c.kvLoraRank();
    int rope = c.qkRopeHeadDim();
    KvSpec.Latent cache = new KvSpec.Latent(layer, rank, rope);

    Value query = g.reshape(query(x, at), c.numHeads(), c.qkHeadDim());
    query = g.rope(query, c.rope(), c.qkNopeHeadDim());

    Value a = parts.linear(x, at + "kv_a_proj_with_mqa", rank + rope, c.attentionBias());
    WeightRef latentNorm = w.vector(at + "kv_a_layernorm.weight", rank);
    Value latent = g.rmsNorm(g.slice(a, 0, rank), latentNorm, LATENT_NORM_EPS);
    Value key = g.rope(g.slice(a, rank, rank + rope), c.rope(), 0);
    g.storeKv(cache, latent, key);

    int kvRows = c.numHeads() * (c.qkNopeHeadDim() + c.vHeadDim());
    WeightRef kvB = w.linear(at + "kv_b_proj.weight", kvRows, rank);
    Value heads = g.latentAttention(query, kvB, cache, c.qkNopeHeadDim(), c.softmaxScale());
    Value flat = g.reshape(heads, c.numHeads() * c.vHeadDim());
    return parts.linear(flat, at + "o_proj", c.hiddenSize(), c.attentionBias());
  }

  private Value query(Value x, String at) {
    int width = c.numHeads() * c.qkHeadDim();
    if (c.qLoraRank() == 0) {
      return parts.linear(x, at + "q_proj", width, false);
    }
    Value a = parts.linear(x, at + "q_a_proj", c.qLoraRank(), c.attentionBias());
    WeightRef weight = w.vector(at + "q_a_layernorm.weight", c.qLoraRank());
    return parts.linear(g.rmsNorm(a, weight, LATENT_NORM_EPS), at + "q_b_proj", width, false);
  }
}
