package dev.fathom.backend.contract;

import dev.fathom.backend.Adapter;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Expert;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A model of two layers with everything that a step can carry through: latent attention, a dense
 * and a mixture layer with a shared expert, residuals; weights in several formats.
 *
 * <p>Outputs: {@code hidden.0} after the embedding, {@code hidden.1} after the first layer, {@code
 * hidden.2} after the final norm, {@code logits}.
 */
public final class TinyModel {

  /** Vocabulary. */
  public static final int VOCAB = 37;

  /** Width of the residual stream. */
  public static final int HIDDEN = 26;

  /** Experts of a token. */
  public static final int TOP_K = 3;

  private static final int HEADS = 3;
  private static final int NOPE = 6;
  private static final int ROPE = 4;
  private static final int V = 5;
  private static final int RANK = 9;
  private static final int INNER = 31;
  private static final int EXPERTS = 8;

  /** The weights. */
  public final WeightFixture weights = new WeightFixture(11);

  /** The program. */
  public final Program program;

  private final ProgramBuilder g = new ProgramBuilder("tiny");
  private final Map<String, Adapter.Delta> merged;
  private final RopeSpec rope = new RopeSpec(new float[] {1f, 0.05f}, 1, RopeLayout.INTERLEAVED);

  /** Builds the model. */
  public TinyModel() {
    this(Map.of());
  }

  /** Builds the model with low-rank deltas added to its weights. */
  TinyModel(Map<String, Adapter.Delta> merged) {
    this.merged = new HashMap<>(merged);
    Value h = g.embed(g.tokens(), weight("embed.weight", WeightFormat.BF16, 1, VOCAB, HIDDEN));
    g.output("hidden.0", h);
    for (int i = 0; i < 2; i++) {
      h = g.add(h, attention(norm(h, i + ".in"), i));
      Value x = norm(h, i + ".post");
      h = g.add(h, i == 0 ? dense(x, "0.mlp", WeightFormat.BF16) : mixture(x));
      if (i == 0) {
        g.output("hidden.1", h);
      }
    }
    Value last = norm(h, "final");
    g.output("hidden.2", last);
    g.output(Program.STATE, last);
    WeightRef head = weight("lm_head.weight", WeightFormat.F32, 0.3, VOCAB, HIDDEN);
    g.output(Program.LOGITS, g.logits(last, head));
    this.program = g.build();
  }

  private Value attention(Value x, int layer) {
    String at = layer + ".attn.";
    int queryWidth = HEADS * (NOPE + ROPE);
    Value q = g.linear(x, weight(at + "q.weight", WeightFormat.BF16, 0.3, queryWidth, HIDDEN));
    q = g.rope(g.reshape(q, HEADS, NOPE + ROPE), rope, NOPE);
    Value a = g.linear(x, weight(at + "kv_a.weight", WeightFormat.F16, 0.3, RANK + ROPE, HIDDEN));
    WeightRef scale = weights.normal(at + "kv_norm", WeightFormat.F32, 1, RANK);
    Value latent = g.rmsNorm(g.slice(a, 0, RANK), scale, 1e-6);
    Value key = g.rope(g.slice(a, RANK, RANK + ROPE), rope, 0);
    KvSpec.Latent cache = new KvSpec.Latent(layer, RANK, ROPE);
    g.storeKv(cache, latent, key);
    WeightRef kvB = weight(at + "kv_b", WeightFormat.FP8_E4M3, 0.4, HEADS * (NOPE + V), RANK);
    Value heads = g.latentAttention(q, kvB, cache, NOPE, 0.35);
    WeightRef o = weight(at + "o.weight", WeightFormat.FP8_E4M3, 0.3, HIDDEN, HEADS * V);
    WeightRef bias = weights.normal(at + "o.bias", WeightFormat.BF16, 0.1, HIDDEN);
    return g.linear(g.reshape(heads, HEADS * V), o, bias);
  }

  private Value dense(Value x, String at, WeightFormat format) {
    Value gate = g.linear(x, weight(at + ".gate.weight", format, 0.3, INNER, HIDDEN));
    Value up = g.linear(x, weight(at + ".up.weight", format, 0.3, INNER, HIDDEN));
    return g.linear(g.swiGlu(gate, up), weight(at + ".down.weight", format, 0.3, HIDDEN, INNER));
  }

  private Value mixture(Value x) {
    RouterSpec spec = new RouterSpec.SigmoidNoAuxTc(EXPERTS, TOP_K, 2, 1, true, 2.5);
    WeightRef gate = weights.normal("1.gate.weight", WeightFormat.F32, 0.4, EXPERTS, HIDDEN);
    WeightRef bias = weights.normal("1.gate.bias", WeightFormat.F32, 0.1, EXPERTS);
    List<Expert> experts = new ArrayList<>();
    for (int e = 0; e < EXPERTS; e++) {
      String at = "1.experts." + e;
      experts.add(
          new Expert(
              weight(at + ".gate", WeightFormat.FP8_E4M3, 0.3, 13, HIDDEN),
              weight(at + ".up", WeightFormat.FP8_E4M3, 0.3, 13, HIDDEN),
              weight(at + ".down", WeightFormat.FP8_E4M3, 0.3, HIDDEN, 13)));
    }
    Value routed = g.moe(x, g.route(x, gate, bias, spec), experts);
    return g.add(routed, dense(x, "1.shared", WeightFormat.FP8_E4M3));
  }

  private Value norm(Value x, String name) {
    return g.rmsNorm(x, weights.normal(name + ".norm", WeightFormat.BF16, 1, HIDDEN), 1e-6);
  }

  /** A weight of a linear, with its delta if one is merged. */
  private WeightRef weight(String name, WeightFormat format, double deviation, int rows, int cols) {
    WeightRef plain = weights.normal(name, format, deviation, rows, cols);
    Adapter.Delta delta = merged.get(name.replace(".weight", ""));
    if (delta == null) {
      return plain;
    }
    double[] values = weights.values(plain).clone();
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < cols; c++) {
        for (int k = 0; k < delta.rank(); k++) {
          values[r * cols + c] +=
              (double) delta.scale() * delta.b()[r * delta.rank() + k] * delta.a()[k * cols + c];
        }
      }
    }
    return weights.exact(name, OpContract.narrow(values), rows, cols);
  }

  /**
   * An adapter of a rank on linears of the first layer, kv_b of both, the shared and half of the
   * routed experts, and the head.
   */
  static Adapter adapter(String name, int rank, long seed) {
    Map<String, Adapter.Delta> deltas = new HashMap<>();
    deltas.put("0.attn.q", delta(HIDDEN, HEADS * (NOPE + ROPE), rank, seed + 1));
    deltas.put("0.attn.kv_a", delta(HIDDEN, RANK + ROPE, rank, seed + 2));
    deltas.put("0.attn.o", delta(HEADS * V, HIDDEN, rank, seed + 3));
    deltas.put("0.mlp.up", delta(HIDDEN, INNER, rank, seed + 4));
    deltas.put("0.mlp.down", delta(INNER, HIDDEN, rank, seed + 5));
    deltas.put("1.shared.gate", delta(HIDDEN, INNER, rank, seed + 6));
    for (int layer = 0; layer < 2; layer++) {
      deltas.put(layer + ".attn.kv_b", delta(RANK, HEADS * (NOPE + V), rank, seed + 8 + layer));
    }
    for (int e = 0; e < EXPERTS; e += 2) {
      deltas.put("1.experts." + e + ".gate", delta(HIDDEN, 13, rank, seed + 10 + e));
      deltas.put("1.experts." + e + ".up", delta(HIDDEN, 13, rank, seed + 20 + e));
      deltas.put("1.experts." + e + ".down", delta(13, HIDDEN, rank, seed + 30 + e));
    }
    deltas.put("lm_head", delta(HIDDEN, VOCAB, rank, seed + 7));
    return new Adapter(name, deltas);
  }

  private static Adapter.Delta delta(int in, int out, int rank, long seed) {
    float[] a = OpCase.normal(rank * in, 0.3, seed);
    float[] b = OpCase.normal(out * rank, 0.3, seed + 100);
    return new Adapter.Delta(a, b, rank, 0.5f);
  }

  /** Token ids from a seed. */
  public static int[] tokens(int len, int seed) {
    int[] ids = new int[len];
    for (int i = 0; i < len; i++) {
      ids[i] = Math.floorMod(seed * 31 + i * 11 + i * i, VOCAB);
    }
    return ids;
  }
}
