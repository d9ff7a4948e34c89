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
    return new Description(DeepSeekV4Config.of(config), new Weights(catalog)).program();
  }

  private static final class Description {

    private final ProgramBuilder g = new ProgramBuilder("deepseek_v4");
    private final StreamBuilder streams = g.streams();
    private final CompressedBuilder compressed = g.compressed();
    private final DeepSeekV4Config c;
    private final Weights w;
    private final DeepSeekV4Names names;
    private final Value tokens = g.tokens();

    Description(DeepSeekV4Config c, Weights w) {
      this.c = c;
      this.w = w;
      this.names = DeepSeekV4Names.of(w);
    }

    Program program() {
      WeightRef embedding = w.dense(names.embedding(), c.vocabSize(), c.hiddenSize());
      Value s = streams.repeat(g.embed(tokens, embedding), c.hcMult());
      for (int i = 0; i < c.layers().size(); i++) {
        g.output("hidden." + i, s);
        s = attentionSite(s, i);
        s = feedForwardSite(s, i);
      }
      Value mixing =
          streams.headMixing(
              s,
              w.dense(names.head("fn"), c.hcMult(), c.hcMult() * c.hiddenSize()),
              w.vector(names.head("base"), c.hcMult()),
              w.vector(names.head("scale"), 1),
              c.rmsNormEps(),
              c.hcEps());
      Value last = norm(streams.collapse(s, mixing), names.norm());
      g.output("hidden." + c.layers().size(), last);
      WeightRef head = w.dense("head.weight", c.vocabSize(), c.hiddenSize());
      g.output(Program.LOGITS, g.logits(last, head));
      return g.build();
    }

    private Value attentionSite(Value s, int layer) {
      Value mixing = mixing(s, names.layer(layer) + "hc_attn_");
      Value x = norm(streams.collapse(s, mixing), names.layer(layer) + "attn_norm.weight");
      return streams.expand(s, attention(x, layer), mixing);
    }

    private Value feedForwardSite(Value s, int layer) {
      Value mixing = mixing(s, names.layer(layer) + "hc_ffn_");
      Value x = norm(streams.collapse(s, mixing), names.layer(layer) + "ffn_norm.weight");
      return streams.expand(s, feedForward(x, layer), mixing);
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

    private Value attention(Value x, int layer) {
      String at = names.layer(layer) + "attn.";
      DeepSeekV4Config.Layer kind = c.layers().get(layer);
      RopeSpec rope = kind.ratio() == 0 ? c.mainRope() : c.compressRope();
      int tail = c.headDim() - c.qkRopeHeadDim();

      Value latent = norm(linear(x, at + "wq_a", c.qLoraRank()), at + "q_norm.weight");
      Value query = linear(latent, at + "wq_b", c.numHeads() * c.headDim());
      query = g.reshape(query, c.numHeads(), c.headDim());
      query = g.rope(compressed.unitNorm(query, c.rmsNormEps()), rope, tail);

      KvSpec.SlidingWindow window = new KvSpec.SlidingWindow(layer, c.headDim(), c.slidingWindow());
      Value key = norm(linear(x, at + "wkv", c.headDim()), at + names.kvNorm());
      g.storeKv(window, g.rope(key, rope, tail));
      KvSpec.@Nullable Compressed entries = compress(x, layer, kind);
      Value selection =
          kind.kind() == DeepSeekV4Config.Kind.SPARSE ? select(x, latent, layer, kind) : null;

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

    private KvSpec.@Nullable Compressed compress(Value x, int layer, DeepSeekV4Config.Layer kind) {
      if (kind.ratio() == 0) {
        return null;
      }
      String at = names.layer(layer) + "attn.compressor.";
      return compress(x, at, layer, kind, KvSpec.Stream.MAIN, c.headDim());
    }

    private KvSpec.Compressed compress(
        Value x,
        String at,
        int layer,
        DeepSeekV4Config.Layer kind,
        KvSpec.Stream stream,
        int width) {
      boolean overlaps = kind.kind() == DeepSeekV4Config.Kind.SPARSE;
      int channels = overlaps ? 2 * width : width;
      int windowTokens = overlaps ? 2 * kind.ratio() : kind.ratio();
      KvSpec.CompressorRows rows = new KvSpec.CompressorRows(layer, stream, channels, windowTokens);
      Value values = g.linear(x, w.dense(at + "wkv.weight", channels, c.hiddenSize()));
      Value gates = g.linear(x, w.dense(at + "wgate.weight", channels, c.hiddenSize()));
      g.storeKv(rows, values, gates);
      KvSpec.Compressed entries = new KvSpec.Compressed(layer, stream, width, kind.ratio());
      compressed.compressKv(
          rows,
          entries,
          w.dense(at + "ape", kind.ratio(), channels),
          w.vector(at + "norm.weight", width),
          c.rmsNormEps(),
          c.compressRope());
      return entries;
    }

    private Value select(Value x, Value latent, int layer, DeepSeekV4Config.Layer kind) {
      String at = names.layer(layer) + "attn.indexer.";
      int heads = c.indexNumHeads();
      int dim = c.indexHeadDim();
      Value query = g.reshape(linear(latent, at + "wq_b", heads * dim), heads, dim);
      query = g.rope(query, c.compressRope(), dim - c.qkRopeHeadDim());
      KvSpec.Compressed keys =
          compress(x, at + "compressor.", layer, kind, KvSpec.Stream.INDEXER, dim);
      WeightRef headWeights = w.dense(at + "weights_proj.weight", heads, c.hiddenSize());
      int entries = Math.max(1, c.maxPositionEmbeddings() / kind.ratio());
      double scale = 1 / Math.sqrt((double) heads * dim);
      return g.topKIndex(
          query, g.linear(x, headWeights), keys, scale, Math.min(c.indexTopK(), entries));
    }

    private Value feedForward(Value x, int layer) {
      String at = names.layer(layer) + "ffn.";
      Value routed = g.moe(x, route(x, layer, at + "gate."), experts(at), c.swigluLimit());
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

    private Value route(Value x, int layer, String at) {
      int numExperts = c.router().numExperts();
      WeightRef weight = w.dense(at + "weight", numExperts, c.hiddenSize());
      if (layer < c.numHashLayers()) {
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
