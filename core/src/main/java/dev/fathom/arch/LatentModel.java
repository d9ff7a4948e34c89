package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
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
  private final Weights w;
  private final DecoderParts parts;
  private final @Nullable LightningIndexer indexer;

  LatentModel(
      String name,
      LatentConfig c,
      RouterSpec router,
      LightningIndexer.@Nullable Config index,
      Weights w) {
    this.g = new ProgramBuilder(name);
    this.c = c;
    this.w = w;
    this.parts = new DecoderParts(g, w, c.hiddenSize(), c.rmsNormEps(), c.feedForward(router));
    this.indexer = index == null ? null : new LightningIndexer(g, w, parts, c, index);
  }

  Program program() {
    return parts.program(
        c.vocabSize(), c.numHiddenLayers(), c.tieWordEmbeddings(), this::attention);
  }

  /** Describes the model for use with its modules of multi-token prediction. */
  Program programWithState() {
    return parts.program(
        c.vocabSize(), c.numHiddenLayers(), c.tieWordEmbeddings(), true, this::attention);
  }

  /** Describes the module of multi-token prediction that is stored as a layer. */
  Program mtpProgram(int layer) {
    return parts.mtpProgram(c.vocabSize(), layer, c.tieWordEmbeddings(), this::attention);
  }

  /** Returns the stored modules of multi-token prediction, each described by a new model. */
  static List<Program> mtpPrograms(
      ModelConfig config, int numHiddenLayers, Weights w, Function<String, LatentModel> models) {
    int count = config.intAt("num_nextn_predict_layers", 0, 64, 0);
    List<Program> programs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int layer = numHiddenLayers + i;
      if (w.has(DecoderParts.mtpProjection(layer))) {
        programs.add(models.apply("mtp." + i).mtpProgram(layer));
      }
    }
    return List.copyOf(programs);
  }

  private Value attention(Value x, int layer) {
    String at = DecoderParts.prefix(layer) + "self_attn.";
    int rank = c.kvLoraRank();
    int rope = c.qkRopeHeadDim();
    KvSpec.Latent cache = new KvSpec.Latent(layer, rank, rope);

    // Beside the first product of the queries, so that a backend can compute both at once.
    Value a = parts.linear(x, at + "kv_a_proj_with_mqa", rank + rope, c.attentionBias());
    Value queryLatent = queryLatent(x, at);
    String queryName = c.qLoraRank() == 0 ? "q_proj" : "q_b_proj";
    Value query = parts.linear(queryLatent, at + queryName, c.numHeads() * c.qkHeadDim(), false);
    query = g.reshape(query, c.numHeads(), c.qkHeadDim());
    query = g.rope(query, c.rope(), c.qkNopeHeadDim());

    WeightRef latentNorm = w.vector(at + "kv_a_layernorm.weight", rank);
    Value latent = g.rmsNorm(g.slice(a, 0, rank), latentNorm, LATENT_NORM_EPS);
    Value key = g.rope(g.slice(a, rank, rank + rope), c.rope(), 0);
    g.storeKv(cache, latent, key);

    Value selection = indexer == null ? null : indexer.select(x, queryLatent, layer);
    int kvRows = c.numHeads() * (c.qkNopeHeadDim() + c.vHeadDim());
    WeightRef kvB = w.linear(at + "kv_b_proj.weight", kvRows, rank);
    Value heads =
        g.latentAttention(query, kvB, cache, c.qkNopeHeadDim(), c.softmaxScale(), selection);
    Value flat = g.reshape(heads, c.numHeads() * c.vHeadDim());
    return parts.linear(flat, at + "o_proj", c.hiddenSize(), c.attentionBias());
  }

  /** What queries are projected from: the normalised latent, or the input where there is none. */
  private Value queryLatent(Value x, String at) {
    if (c.qLoraRank() == 0) {
      return x;
    }
    Value a = parts.linear(x, at + "q_a_proj", c.qLoraRank(), c.attentionBias());
    WeightRef weight = w.vector(at + "q_a_layernorm.weight", c.qLoraRank());
    return g.rmsNorm(a, weight, LATENT_NORM_EPS);
  }
}
