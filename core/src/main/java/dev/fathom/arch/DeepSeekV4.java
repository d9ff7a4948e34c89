package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.CompressedBuilder;
import dev.fathom.program.Expert;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.RopeSpec;
import dev.fathom.program.StreamBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * DeepSeek-V4 Flash and Pro (arXiv 2606.19348): residual streams joined by hyper-connections, a
 * sliding window beside compressed entries, one vector as key and value of all heads, and a mixture
 * of experts in every layer. The exact algebra; quantization of activations is left out.
 */
public final class DeepSeekV4 implements Architecture {

  DeepSeekV4() {}

  @Override
  public String modelType() {
    return "deepseek_v4";
  }

  @Override
  public int maxContextTokens(ModelConfig config) {
    return DeepSeekV4Config.of(config).maxPositionEmbeddings();
  }

  @Override
  public Program program(ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    return new Description(modelType(), DeepSeekV4Config.of(config), new Weights(catalog))
        .program();
  }

  @Override
  public List<Program> mtpPrograms(
      ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    DeepSeekV4Config c = DeepSeekV4Config.of(config);
    Weights w = new Weights(catalog);
    List<Program> programs = new ArrayList<>();
    for (int i = 0; i < c.mtpLayers().size(); i++) {
      // Drafters of another kind (DSpark) reuse the prefix but have no such projection.
      if (w.has(mtp(i) + MTP_PROJECTION)) {
        programs.add(new Description("deepseek_v4.mtp." + i, c, w).mtpProgram(i));
      }
    }
    return List.copyOf(programs);
  }

  private static final String MTP_PROJECTION = "e_proj.weight";

  private static String mtp(int module) {
    return "mtp." + module + ".";
  }

  /**
   * One decoder layer.
   *
   * @param at prefix of its tensors
   * @param index of its KV caches
   * @param kind what it attends to
   * @param ratio tokens that a compressed entry stands for, 0 where there are none
   * @param hash whether the token alone chooses the experts
   */
  private record Block(String at, int index, DeepSeekV4Config.Kind kind, int ratio, boolean hash) {

    String attention() {
      return at + "attn.";
    }
  }

  private static final class Description {

    private final ProgramBuilder g;
    private final StreamBuilder streams;
    private final CompressedBuilder compressed;
    private final DeepSeekV4Config c;
    private final Weights w;
    private final DeepSeekV4Names names;
    private final Value tokens;

    Description(String name, DeepSeekV4Config c, Weights w) {
      this.g = new ProgramBuilder(name);
      this.streams = g.streams();
      this.compressed = g.compressed();
      this.tokens = g.tokens();
      this.c = c;
      this.w = w;
      this.names = DeepSeekV4Names.of(w);
    }

    Program program() {
      WeightRef embedding = w.dense(names.embedding(), c.vocabSize(), c.hiddenSize());
      Value s = streams.repeat(g.embed(tokens, embedding), c.hcMult());
      for (int i = 0; i < c.layers().size(); i++) {
        g.output("hidden." + i, s);
        DeepSeekV4Config.Layer kind = c.layers().get(i);
        boolean hash = i < c.numHashLayers();
        s = block(s, new Block(names.layer(i), i, kind.kind(), kind.ratio(), hash));
      }
      g.output(Program.STATE, s);
      Value last = norm(collapseForHead(s, names.head()), names.norm());
      g.output("hidden." + c.layers().size(), last);
      g.output(Program.LOGITS, g.logits(last, head()));
      return g.build();
    }

    /**
     * Describes a module of multi-token prediction: the projected embedding of the next token joins
     * each residual stream of the state, and one more layer follows. Embedding and head are shared.
     */
    Program mtpProgram(int module) {
      String at = mtp(module);
      Value state = g.hidden(Program.HIDDEN, c.hcMult() * c.hiddenSize());
      state = norm(g.reshape(state, c.hcMult(), c.hiddenSize()), at + "hnorm.weight");
      WeightRef embedding = w.dense(names.embedding(), c.vocabSize(), c.hiddenSize());
      Value next = norm(g.embed(tokens, embedding), at + "enorm.weight");
      next = streams.repeat(linear(next, at + "e_proj", c.hiddenSize()), c.hcMult());
      Value s = g.add(next, linear(state, at + "h_proj", c.hiddenSize()));
      DeepSeekV4Config.Layer kind = c.mtpLayers().get(module);
      int index = c.layers().size() + module;
      s = block(s, new Block(at, index, kind.kind(), kind.ratio(), false));
      g.output(Program.STATE, s);
      Value last = norm(collapseForHead(s, at + "hc_head_"), at + "norm.weight");
      g.output(Program.LOGITS, g.logits(last, head()));
      return g.build();
    }

    private WeightRef head() {
      String name = c.tieWordEmbeddings() ? names.embedding() : "head.weight";
      return w.dense(name, c.vocabSize(), c.hiddenSize());
    }

    private Value collapseForHead(Value s, String at) {
      Value mixing =
          streams.headMixing(
              s,
              w.dense(at + "fn", c.hcMult(), c.hcMult() * c.hiddenSize()),
              w.vector(at + "base", c.hcMult()),
              w.vector(at + "scale", 1),
              c.rmsNormEps(),
              c.hcEps());
      return streams.collapse(s, mixing);
    }

    private Value block(Value s, Block b) {
      Value mixing = mixing(s, b.at() + "hc_attn_");
      Value x = norm(streams.collapse(s, mixing), b.at() + "attn_norm.weight");
      Value attended = streams.expand(s, attention(x, b), mixing);

      mixing = mixing(attended, b.at() + "hc_ffn_");
      x = norm(streams.collapse(attended, mixing), b.at() + "ffn_norm.weight");
      return streams.expand(attended, feedForward(x, b), mixing);
    }

    private Value mixing(Value s, String at) {
      int width = 2 * c.hcMult() + c.hcMult() * c.hcMult();
      return streams.mixing(
          s,
          w.dense(at + "fn", width, c.hcMult() * c.hiddenSize()),
          w.vector(at + "base", width),
          w.vector(at + "scale", 3),
          c.rmsNormEps(),
          c.hcEps(),
          c.hcSinkhornIters());
    }

    private Value norm(Value x, String name) {
      return g.rmsNorm(x, w.vector(name, x.shape().last()), c.rmsNormEps());
    }

    private Value linear(Value x, String name, int out) {
      return g.linear(x, w.linear(name + ".weight", out, x.shape().last()));
    }

    private Value attention(Value x, Block b) {
      String at = b.attention();
      RopeSpec rope = b.ratio() == 0 ? c.mainRope() : c.compressRope();
      int tail = c.headDim() - c.qkRopeHeadDim();

      // Side by side, so that a backend can compute both at once.
      Value unscaledKey = linear(x, at + "wkv", c.headDim());
      Value latent = norm(linear(x, at + "wq_a", c.qLoraRank()), at + "q_norm.weight");
      Value query = linear(latent, at + "wq_b", c.numHeads() * c.headDim());
      query = g.reshape(query, c.numHeads(), c.headDim());
      query = g.rope(compressed.unitNorm(query, c.rmsNormEps()), rope, tail);

      KvSpec.SlidingWindow window =
          new KvSpec.SlidingWindow(b.index(), c.headDim(), c.slidingWindow());
      Value key = norm(unscaledKey, at + names.kvNorm());
      g.storeKv(window, g.rope(key, rope, tail));
      KvSpec.@Nullable Compressed entries = compress(x, b);
      Value selection = b.kind() == DeepSeekV4Config.Kind.SPARSE ? select(x, latent, b) : null;

      WeightRef sinks = w.vector(at + "attn_sink", c.numHeads());
      double scale = 1 / Math.sqrt(c.headDim());
      Value heads = compressed.windowAttention(query, window, entries, selection, sinks, scale);
      return output(g.rope(heads, rope.inverse(), tail), at);
    }

    private Value output(Value heads, String at) {
      int inputs = c.numHeads() / c.oGroups() * c.headDim();
      Value grouped = g.reshape(heads, c.oGroups(), inputs);
      WeightRef first = w.linear(at + "wo_a.weight", c.oGroups() * c.oLoraRank(), inputs);
      return linear(compressed.groupedLinear(grouped, first), at + "wo_b", c.hiddenSize());
    }

    private KvSpec.@Nullable Compressed compress(Value x, Block b) {
      if (b.ratio() == 0) {
        return null;
      }
      return compress(x, b.attention() + "compressor.", b, KvSpec.Stream.MAIN, c.headDim());
    }

    private KvSpec.Compressed compress(
        Value x, String at, Block b, KvSpec.Stream stream, int width) {
      int layer = b.index();
      boolean overlaps = b.kind() == DeepSeekV4Config.Kind.SPARSE;
      int channels = overlaps ? 2 * width : width;
      int windowTokens = overlaps ? 2 * b.ratio() : b.ratio();
      KvSpec.CompressorRows rows = new KvSpec.CompressorRows(layer, stream, channels, windowTokens);
      Value values = g.linear(x, w.dense(at + "wkv.weight", channels, c.hiddenSize()));
      Value gates = g.linear(x, w.dense(at + "wgate.weight", channels, c.hiddenSize()));
      g.storeKv(rows, values, gates);
      KvSpec.Compressed entries = new KvSpec.Compressed(layer, stream, width, b.ratio());
      compressed.compressKv(
          rows,
          entries,
          w.dense(at + "ape", b.ratio(), channels),
          w.vector(at + "norm.weight", width),
          c.rmsNormEps(),
          c.compressRope());
      return entries;
    }

    private Value select(Value x, Value latent, Block b) {
      String at = b.attention() + "indexer.";
      int heads = c.indexNumHeads();
      int dim = c.indexHeadDim();
      Value query = g.reshape(linear(latent, at + "wq_b", heads * dim), heads, dim);
      query = g.rope(query, c.compressRope(), dim - c.qkRopeHeadDim());
      KvSpec.Compressed keys = compress(x, at + "compressor.", b, KvSpec.Stream.INDEXER, dim);
      WeightRef headWeights = w.dense(at + "weights_proj.weight", heads, c.hiddenSize());
      int entries = Math.max(1, c.maxPositionEmbeddings() / b.ratio());
      double scale = 1 / Math.sqrt((double) heads * dim);
      return g.topKIndex(
          query, g.linear(x, headWeights), keys, scale, Math.min(c.indexTopK(), entries));
    }

    private Value feedForward(Value x, Block b) {
      String at = b.at() + "ffn.";
      Value routed = g.moe(x, route(x, b, at + "gate."), experts(at), c.swigluLimit());
      if (c.numSharedExperts() == 0) {
        return routed;
      }
      String shared = at + "shared_experts.";
      int width = c.numSharedExperts() * c.moeIntermediateSize();
      Value gate = linear(x, shared + "w1", width);
      Value up = linear(x, shared + "w3", width);
      Value act = g.swiGlu(gate, up, c.swigluLimit());
      return g.add(routed, linear(act, shared + "w2", c.hiddenSize()));
    }

    private Value route(Value x, Block b, String at) {
      int numExperts = c.router().numExperts();
      WeightRef weight = w.dense(at + "weight", numExperts, c.hiddenSize());
      if (b.hash()) {
        WeightRef table = w.dense(at + "tid2eid", c.vocabSize(), c.router().topK());
        return compressed.hashRoute(x, tokens, weight, table, c.router());
      }
      return g.route(x, weight, w.vector(at + "bias", numExperts), c.router());
    }

    private List<Expert> experts(String at) {
      List<Expert> experts = new ArrayList<>();
      int width = c.moeIntermediateSize();
      for (int e = 0; e < c.router().numExperts(); e++) {
        String expert = at + "experts." + e + ".";
        experts.add(
            new Expert(
                w.linear(expert + "w1.weight", width, c.hiddenSize()),
                w.linear(expert + "w3.weight", width, c.hiddenSize()),
                w.linear(expert + "w2.weight", c.hiddenSize(), width)));
      }
      return experts;
    }
  }
}
