package dev.fathom.arch;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Expert;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

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
  private final RouterSpec router;
  private final Weights w;

  LatentModel(String name, LatentConfig c, RouterSpec router, Weights w) {
    this.g = new ProgramBuilder(name);
    this.c = c;
    this.router = router;
    this.w = w;
  }

  Program program() {
    WeightRef embedding = w.dense("model.embed_tokens.weight", c.vocabSize(), c.hiddenSize());
    Value h = g.embed(g.tokens(), embedding);
    for (int i = 0; i < c.numHiddenLayers(); i++) {
      g.output("hidden." + i, h);
      h = g.add(h, attention(norm(h, i, "input_layernorm"), i));
      h = g.add(h, feedForward(norm(h, i, "post_attention_layernorm"), i));
    }
    Value last = g.rmsNorm(h, w.vector("model.norm.weight", c.hiddenSize()), c.rmsNormEps());
    g.output("hidden." + c.numHiddenLayers(), last);
    g.output(Program.LOGITS, g.logits(last, head(embedding)));
    return g.build();
  }

  private WeightRef head(WeightRef embedding) {
    return c.tieWordEmbeddings()
        ? embedding
        : w.dense("lm_head.weight", c.vocabSize(), c.hiddenSize());
  }

  private Value norm(Value h, int layer, String name) {
    WeightRef weight = w.vector(prefix(layer) + name + ".weight", c.hiddenSize());
    return g.rmsNorm(h, weight, c.rmsNormEps());
  }

  private static String prefix(int layer) {
    return "model.layers." + layer + ".";
  }

  private Value attention(Value x, int layer) {
    String at = prefix(layer) + "self_attn.";
    int rank = c.kvLoraRank();
    int rope = c.qkRopeHeadDim();
    KvSpec.Latent cache = new KvSpec.Latent(layer, rank, rope);

    Value query = g.reshape(query(x, at), c.numHeads(), c.qkHeadDim());
    query = g.rope(query, c.rope(), c.qkNopeHeadDim());

    Value a = linear(x, at + "kv_a_proj_with_mqa", rank + rope, c.attentionBias());
    WeightRef latentNorm = w.vector(at + "kv_a_layernorm.weight", rank);
    Value latent = g.rmsNorm(g.slice(a, 0, rank), latentNorm, LATENT_NORM_EPS);
    Value key = g.rope(g.slice(a, rank, rank + rope), c.rope(), 0);
    g.storeKv(cache, latent, key);

    int kvRows = c.numHeads() * (c.qkNopeHeadDim() + c.vHeadDim());
    WeightRef kvB = w.linear(at + "kv_b_proj.weight", kvRows, rank);
    Value heads = g.latentAttention(query, kvB, cache, c.qkNopeHeadDim(), c.softmaxScale());
    Value flat = g.reshape(heads, c.numHeads() * c.vHeadDim());
    return linear(flat, at + "o_proj", c.hiddenSize(), c.attentionBias());
  }

  private Value query(Value x, String at) {
    int width = c.numHeads() * c.qkHeadDim();
    if (c.qLoraRank() == 0) {
      return linear(x, at + "q_proj", width, false);
    }
    Value a = linear(x, at + "q_a_proj", c.qLoraRank(), c.attentionBias());
    WeightRef weight = w.vector(at + "q_a_layernorm.weight", c.qLoraRank());
    return linear(g.rmsNorm(a, weight, LATENT_NORM_EPS), at + "q_b_proj", width, false);
  }

  private Value linear(Value x, String name, int out, boolean withBias) {
    WeightRef weight = w.linear(name + ".weight", out, x.shape().last());
    @Nullable WeightRef bias = withBias ? w.vector(name + ".bias", out) : null;
    return g.linear(x, weight, bias);
  }

  private Value feedForward(Value x, int layer) {
    String at = prefix(layer) + "mlp.";
    if (!c.isMoe(layer)) {
      return mlp(x, at, c.intermediateSize());
    }
    WeightRef gate = w.dense(at + "gate.weight", c.numExperts(), c.hiddenSize());
    @Nullable WeightRef bias =
        router.usesBias() ? w.vector(at + "gate.e_score_correction_bias", c.numExperts()) : null;
    Value routing = g.route(x, gate, bias, router);
    Value routed = g.moe(x, routing, experts(at));
    if (c.numSharedExperts() == 0) {
      return routed;
    }
    int width = c.numSharedExperts() * c.moeIntermediateSize();
    return g.add(routed, mlp(x, at + "shared_experts.", width));
  }

  private List<Expert> experts(String at) {
    List<Expert> experts = new ArrayList<>(c.numExperts());
    int width = c.moeIntermediateSize();
    for (int e = 0; e < c.numExperts(); e++) {
      String expert = at + "experts." + e + ".";
      experts.add(
          new Expert(
              w.linear(expert + "gate_proj.weight", width, c.hiddenSize()),
              w.linear(expert + "up_proj.weight", width, c.hiddenSize()),
              w.linear(expert + "down_proj.weight", c.hiddenSize(), width)));
    }
    return experts;
  }

  private Value mlp(Value x, String at, int width) {
    Value gate = linear(x, at + "gate_proj", width, false);
    Value up = linear(x, at + "up_proj", width, false);
    return linear(g.swiGlu(gate, up), at + "down_proj", c.hiddenSize(), false);
  }
}
