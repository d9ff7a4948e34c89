package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
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
 * What every pre-norm decoder shares: the residual loop, norms, named linears, feed-forward parts.
 */
final class DecoderParts {

  /**
   * Widths of the feed-forward parts and which layers mix experts.
   *
   * @param intermediateSize width of dense layers
   * @param moeIntermediateSize width of one expert
   * @param numExperts E, 0 where all layers are dense
   * @param numSharedExperts experts that every token uses
   * @param firstKDenseReplace leading dense layers
   * @param moeLayerFreq every how many layers experts are mixed
   * @param router how experts are chosen
   */
  record FeedForward(
      int intermediateSize,
      int moeIntermediateSize,
      int numExperts,
      int numSharedExperts,
      int firstKDenseReplace,
      int moeLayerFreq,
      RouterSpec router) {

    /** All layers dense. */
    static FeedForward dense(int intermediateSize) {
      return new FeedForward(
          intermediateSize, 0, 0, 0, 0, 1, new RouterSpec.SoftmaxGreedy(1, 1, false, 1));
    }

    /** Reads the widths; all layers are dense where there are no routed experts. */
    static FeedForward of(ModelConfig config, RouterSpec router) {
      int dense = config.intAt("intermediate_size", 1, 1 << 20);
      int numExperts = config.intAt("n_routed_experts", 0, 1 << 16, 0);
      if (numExperts == 0) {
        return dense(dense);
      }
      return new FeedForward(
          dense,
          config.intAt("moe_intermediate_size", 1, 1 << 20),
          numExperts,
          config.intAt("n_shared_experts", 0, 1 << 16, 0),
          config.intAt("first_k_dense_replace", 0, 4096, 0),
          config.intAt("moe_layer_freq", 1, 4096, 1),
          router);
    }

    boolean isMoe(int layer) {
      return numExperts > 0 && layer >= firstKDenseReplace && layer % moeLayerFreq == 0;
    }
  }

  private final ProgramBuilder g;
  private final Weights w;
  private final int hiddenSize;
  private final double rmsNormEps;
  private final FeedForward ff;

  DecoderParts(
      ProgramBuilder g, Weights w, int hiddenSize, double rmsNormEps, FeedForward feedForward) {
    this.g = g;
    this.w = w;
    this.hiddenSize = hiddenSize;
    this.rmsNormEps = rmsNormEps;
    this.ff = feedForward;
  }

  static String prefix(int layer) {
    return "model.layers." + layer + ".";
  }

  /** The attention of one layer: from the normed residual stream [T, C] to its update [T, C]. */
  @FunctionalInterface
  interface Attention {
    Value apply(Value x, int layer);
  }

  /** Describes the whole decoder around the attention of its layers. */
  Program program(int vocabSize, int numLayers, boolean tied, Attention attention) {
    return program(vocabSize, numLayers, tied, false, attention);
  }

  /**
   * Describes the whole decoder around the attention of its layers.
   *
   * @param keepsState whether modules of multi-token prediction may follow
   */
  Program program(
      int vocabSize, int numLayers, boolean tied, boolean keepsState, Attention attention) {
    WeightRef embedding = w.dense("model.embed_tokens.weight", vocabSize, hiddenSize);
    Value h = g.embed(g.tokens(), embedding);
    for (int i = 0; i < numLayers; i++) {
      g.output("hidden." + i, h);
      h = layer(h, i, attention);
    }
    Value last = g.rmsNorm(h, w.vector("model.norm.weight", hiddenSize), rmsNormEps);
    g.output("hidden." + numLayers, last);
    if (keepsState) {
      g.output(Program.STATE, last);
    }
    g.output(Program.LOGITS, g.logits(last, head(embedding, tied)));
    return g.build();
  }

  /** One decoder layer with its residuals: [T, C] to [T, C]. */
  private Value layer(Value h, int i, Attention attention) {
    Value middle = g.add(h, attention.apply(norm(h, i, "input_layernorm"), i));
    return g.add(middle, feedForward(norm(middle, i, "post_attention_layernorm"), i));
  }

  /**
   * Describes a module of multi-token prediction (DeepSeek-V3, arXiv 2412.19437, section 2.2),
   * stored as the layer of this index: the embedding of the next token and the state, each normed,
   * are joined and go through one more layer. It shares embedding and head with the model.
   */
  Program mtpProgram(int vocabSize, int layer, boolean tied, Attention attention) {
    WeightRef embedding = w.dense("model.embed_tokens.weight", vocabSize, hiddenSize);
    Value state = g.hidden(Program.HIDDEN, hiddenSize);
    Value next = norm(g.embed(g.tokens(), embedding), layer, "enorm");
    Value joined = g.concat(next, norm(state, layer, "hnorm"));
    WeightRef projection = w.dense(mtpProjection(layer), hiddenSize, 2 * hiddenSize);
    Value h = layer(g.linear(joined, projection), layer, attention);
    g.output(Program.STATE, h);
    Value last = norm(h, layer, "shared_head.norm");
    g.output(Program.LOGITS, g.logits(last, head(embedding, tied)));
    return g.build();
  }

  /** Name of the tensor by which a module of multi-token prediction is known. */
  static String mtpProjection(int layer) {
    return prefix(layer) + "eh_proj.weight";
  }

  private WeightRef head(WeightRef embedding, boolean tied) {
    return tied ? embedding : w.dense("lm_head.weight", embedding.rows(), hiddenSize);
  }

  private Value norm(Value h, int layer, String name) {
    WeightRef weight = w.vector(prefix(layer) + name + ".weight", hiddenSize);
    return g.rmsNorm(h, weight, rmsNormEps);
  }

  Value linear(Value x, String name, int out, boolean withBias) {
    WeightRef weight = w.linear(name + ".weight", out, x.shape().last());
    @Nullable WeightRef bias = withBias ? w.vector(name + ".bias", out) : null;
    return g.linear(x, weight, bias);
  }

  private Value feedForward(Value x, int layer) {
    String at = prefix(layer) + "mlp.";
    if (!ff.isMoe(layer)) {
      return mlp(x, at, ff.intermediateSize());
    }
    WeightRef gate = w.dense(at + "gate.weight", ff.numExperts(), hiddenSize);
    @Nullable WeightRef bias =
        ff.router().usesBias()
            ? w.vector(at + "gate.e_score_correction_bias", ff.numExperts())
            : null;
    Value routing = g.route(x, gate, bias, ff.router());
    Value routed = g.moe(x, routing, experts(at));
    if (ff.numSharedExperts() == 0) {
      return routed;
    }
    int width = ff.numSharedExperts() * ff.moeIntermediateSize();
    return g.add(routed, mlp(x, at + "shared_experts.", width));
  }

  private List<Expert> experts(String at) {
    List<Expert> experts = new ArrayList<>(ff.numExperts());
    int width = ff.moeIntermediateSize();
    for (int e = 0; e < ff.numExperts(); e++) {
      String expert = at + "experts." + e + ".";
      experts.add(
          new Expert(
              w.linear(expert + "gate_proj.weight", width, hiddenSize),
              w.linear(expert + "up_proj.weight", width, hiddenSize),
              w.linear(expert + "down_proj.weight", hiddenSize, width)));
    }
    return experts;
  }

  private Value mlp(Value x, String at, int width) {
    Value gate = linear(x, at + "gate_proj", width, false);
    Value up = linear(x, at + "up_proj", width, false);
    return linear(g.swiGlu(gate, up), at + "down_proj", hiddenSize, false);
  }
}
