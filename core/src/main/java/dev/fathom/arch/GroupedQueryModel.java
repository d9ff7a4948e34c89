package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;

/**
 * A decoder with grouped-query attention and half-split rotary embedding (the Llama lineage):
 * pre-norm residual layers, dense or mixing experts.
 */
final class GroupedQueryModel {

  /** What differs between the families inside attention. */
  enum Projections {
    /** Neither biases nor norms. */
    PLAIN,
    /** Biases on query, key and value. */
    QKV_BIAS,
    /** Biases on all four projections. */
    BIAS,
    /** A root-mean-square norm over each head of query and key before rotation. */
    HEAD_NORM;

    /** Reads attention_bias. */
    static Projections of(ModelConfig config) {
      return config.booleanAt("attention_bias", false) ? BIAS : PLAIN;
    }
  }

  private final ProgramBuilder g;
  private final GroupedQueryConfig c;
  private final Projections projections;
  private final Weights w;
  private final DecoderParts parts;

  GroupedQueryModel(
      String name,
      GroupedQueryConfig c,
      Projections projections,
      DecoderParts.FeedForward feedForward,
      Weights w) {
    this.g = new ProgramBuilder(name);
    this.c = c;
    this.projections = projections;
    this.w = w;
    this.parts = new DecoderParts(g, w, c.hiddenSize(), c.rmsNormEps(), feedForward);
  }

  Program program() {
    return parts.program(
        c.vocabSize(), c.numHiddenLayers(), c.tieWordEmbeddings(), this::attention);
  }

  private Value attention(Value x, int layer) {
    String at = DecoderParts.prefix(layer) + "self_attn.";
    boolean qkvBias = projections == Projections.QKV_BIAS || projections == Projections.BIAS;
    int kvWidth = c.numKvHeads() * c.headDim();
    Value query = parts.linear(x, at + "q_proj", c.numHeads() * c.headDim(), qkvBias);
    Value key = parts.linear(x, at + "k_proj", kvWidth, qkvBias);
    Value value = parts.linear(x, at + "v_proj", kvWidth, qkvBias);
    query = turned(query, c.numHeads(), at + "q_norm.weight");
    key = turned(key, c.numKvHeads(), at + "k_norm.weight");
    KvSpec.Full cache = new KvSpec.Full(layer, c.numKvHeads(), c.headDim());
    g.storeKv(cache, g.reshape(key, kvWidth), value);
    Value heads = g.attention(query, cache, 1 / Math.sqrt(c.headDim()));
    Value flat = g.reshape(heads, c.numHeads() * c.headDim());
    return parts.linear(flat, at + "o_proj", c.hiddenSize(), projections == Projections.BIAS);
  }

  private Value turned(Value x, int heads, String norm) {
    Value split = g.reshape(x, heads, c.headDim());
    if (projections == Projections.HEAD_NORM) {
      split = g.rmsNorm(split, w.vector(norm, c.headDim()), c.rmsNormEps());
    }
    return g.rope(split, c.rope(), 0);
  }
}
