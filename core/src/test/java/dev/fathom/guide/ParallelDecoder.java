package dev.fathom.guide;

import dev.fathom.arch.Compatibility;
import dev.fathom.arch.CustomArchitecture;
import dev.fathom.arch.TensorCatalog;
import dev.fathom.arch.Weights;
import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;

// guide begin
/** Attention and MLP side by side: h + attention(norm(h)) + mlp(norm(h)). */
public final class ParallelDecoder implements CustomArchitecture {

  @Override
  public String modelType() {
    return "parallel";
  }

  @Override
  public int maxContextTokens(ModelConfig config) {
    return config.intAt("max_position_embeddings", 1, 1 << 20);
  }

  @Override
  public Program program(ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    return new Step(config, new Weights(catalog)).describe();
  }

  private static final class Step {
    private final ProgramBuilder g = new ProgramBuilder("parallel");
    private final ModelConfig c;
    private final Weights w;
    private final int hidden;
    private final int heads;
    private final int headDim;

    Step(ModelConfig config, Weights weights) {
      this.c = config;
      this.w = weights;
      this.hidden = c.intAt("hidden_size", 1, 1 << 16);
      this.heads = c.intAt("num_attention_heads", 1, 1 << 10);
      this.headDim = hidden / heads;
    }

    Program describe() {
      int vocab = c.intAt("vocab_size", 1, 1 << 20);
      int layers = c.intAt("num_hidden_layers", 1, 1 << 10);
      WeightRef embedding = w.dense("model.embed_tokens.weight", vocab, hidden);
      Value h = g.embed(g.tokens(), embedding);
      for (int i = 0; i < layers; i++) {
        String at = "model.layers." + i + ".";
        Value x = norm(h, at + "norm.weight");
        h = g.add(h, g.add(attention(x, at + "self_attn.", i), mlp(x, at + "mlp.")));
      }
      Value last = norm(h, "model.norm.weight");
      g.output("hidden." + layers, last);
      g.output(Program.LOGITS, g.logits(last, embedding));
      return g.build();
    }

    private Value norm(Value x, String name) {
      return g.rmsNorm(x, w.vector(name, hidden), c.doubleAt("rms_norm_eps", 1e-12, 1e-2));
    }

    private Value linear(Value x, String name, int out) {
      return g.linear(x, w.linear(name + ".weight", out, x.shape().last()));
    }

    private Value attention(Value x, String at, int layer) {
      KvSpec.Full cache = new KvSpec.Full(layer, heads, headDim);
      RopeSpec rope = new RopeSpec(frequencies(), 1, RopeLayout.HALF_SPLIT);
      Value query = g.reshape(linear(x, at + "q_proj", hidden), heads, headDim);
      Value key = g.reshape(linear(x, at + "k_proj", hidden), heads, headDim);
      g.storeKv(cache, g.reshape(g.rope(key, rope, 0), hidden), linear(x, at + "v_proj", hidden));
      Value mixed = g.attention(g.rope(query, rope, 0), cache, 1 / Math.sqrt(headDim));
      return linear(g.reshape(mixed, hidden), at + "o_proj", hidden);
    }

    private float[] frequencies() {
      float[] frequencies = new float[headDim / 2];
      for (int i = 0; i < frequencies.length; i++) {
        frequencies[i] = (float) Math.pow(c.doubleAt("rope_theta", 1, 1e9), -2.0 * i / headDim);
      }
      return frequencies;
    }

    private Value mlp(Value x, String at) {
      int width = c.intAt("intermediate_size", 1, 1 << 20);
      Value gate = linear(x, at + "gate_proj", width);
      Value up = linear(x, at + "up_proj", width);
      return linear(g.swiGlu(gate, up), at + "down_proj", hidden);
    }
  }
}
// guide end
