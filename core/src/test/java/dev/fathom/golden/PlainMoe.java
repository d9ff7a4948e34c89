package dev.fathom.golden;

import dev.fathom.backend.contract.Formulas;
import dev.fathom.program.RopeLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * A small DeepSeek-MoE (v1) with random weights, and what a plain float64 program, written out from
 * the paper (arXiv 2401.06066) and the specification, computes for it. There is no class for this
 * family in transformers.
 */
final class PlainMoe {

  /** Name of the golden. */
  static final String NAME = "plain_moe_v1";

  private static final int C = 48;
  private static final int LAYERS = 3;
  private static final int HEADS = 3;
  private static final int HEAD = 16;
  private static final int DENSE = 80;
  private static final int EXPERT = 24;
  private static final int EXPERTS = 9;
  private static final int SHARED = 2;
  private static final int TOP_K = 3;
  private static final int VOCAB = 61;
  private static final int PROMPT = 21;
  private static final int GREEDY = 8;
  private static final double EPS = 1e-6;
  private static final double CLEAR_GAP = 1e-5;
  private static final String CONFIG =
      """
      {"architectures": ["DeepseekForCausalLM"], "model_type": "deepseek", "vocab_size": %d,
       "hidden_size": %d, "num_hidden_layers": %d, "num_attention_heads": %d,
       "num_key_value_heads": %d, "intermediate_size": %d, "moe_intermediate_size": %d,
       "n_routed_experts": %d, "n_shared_experts": %d, "num_experts_per_tok": %d,
       "first_k_dense_replace": 1, "moe_layer_freq": 1, "scoring_func": "softmax",
       "norm_topk_prob": false, "aux_loss_alpha": 0.001, "rope_theta": 10000, "rope_scaling": null,
       "rms_norm_eps": 1e-06, "max_position_embeddings": 128, "attention_bias": false,
       "hidden_act": "silu", "tie_word_embeddings": false, "bos_token_id": 0, "eos_token_id": 1,
       "torch_dtype": "float32"}
      """;

  private final Map<String, double[]> weights = new LinkedHashMap<>();
  private final Map<String, int[]> shapes = new LinkedHashMap<>();
  private final SplittableRandom random = new SplittableRandom(11);
  private final List<double[]> hidden = new ArrayList<>();

  private PlainMoe() {
    tensor("model.embed_tokens", VOCAB, C);
    for (int l = 0; l < LAYERS; l++) {
      String at = "model.layers." + l + ".";
      norm(at + "input_layernorm");
      norm(at + "post_attention_layernorm");
      for (String projection : List.of("q_proj", "k_proj", "v_proj", "o_proj")) {
        tensor(at + "self_attn." + projection, C, C);
      }
      if (l == 0) {
        feedForward(at + "mlp.", DENSE);
        continue;
      }
      tensor(at + "mlp.gate", EXPERTS, C);
      feedForward(at + "mlp.shared_experts.", SHARED * EXPERT);
      for (int e = 0; e < EXPERTS; e++) {
        feedForward(at + "mlp.experts." + e + ".", EXPERT);
      }
    }
    norm("model.norm");
    tensor("lm_head", VOCAB, C);
  }

  /** The model, a prompt, and the logits, hidden states and greedy tokens of the plain program. */
  static Golden golden() {
    PlainMoe plain = new PlainMoe();
    int[] tokens = IntStream.range(0, PROMPT).map(i -> (i * 17 + 3) % VOCAB).toArray();
    double[] all = plain.run(tokens);
    List<float[]> hidden = plain.hidden.stream().map(PlainMoe::narrow).toList();
    Map<Integer, float[]> logits = new LinkedHashMap<>();
    int[] argmax = new int[PROMPT];
    for (int t = 0; t < PROMPT; t++) {
      float[] row = narrow(Arrays.copyOfRange(all, t * VOCAB, (t + 1) * VOCAB));
      logits.put(t, row);
      argmax[t] = Golden.argmax(row, 0, VOCAB);
    }
    int[] longer = tokens;
    for (int i = 0; i < GREEDY; i++) {
      float[] row = narrow(plain.run(longer));
      longer = Arrays.copyOf(longer, longer.length + 1);
      longer[longer.length - 1] = Golden.argmax(row, row.length - VOCAB, VOCAB);
    }
    return new Golden(
        NAME,
        TestModel.of(config(), plain.file()),
        tokens,
        logits,
        argmax,
        hidden,
        Arrays.copyOfRange(longer, PROMPT, longer.length));
  }

  private static byte[] config() {
    return CONFIG
        .formatted(VOCAB, C, LAYERS, HEADS, HEADS, DENSE, EXPERT, EXPERTS, SHARED, TOP_K)
        .getBytes(StandardCharsets.UTF_8);
  }

  private static float[] narrow(double[] values) {
    float[] out = new float[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = (float) values[i];
    }
    return out;
  }

  private void feedForward(String at, int width) {
    tensor(at + "gate_proj", width, C);
    tensor(at + "up_proj", width, C);
    tensor(at + "down_proj", C, width);
  }

  private void tensor(String name, int rows, int cols) {
    double[] values = new double[rows * cols];
    double size = 1.5 / Math.sqrt(cols);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    weights.put(name + ".weight", values);
    shapes.put(name + ".weight", new int[] {rows, cols});
  }

  private void norm(String name) {
    double[] values = new double[C];
    for (int i = 0; i < C; i++) {
      values[i] = (float) (1 + 0.2 * random.nextGaussian());
    }
    weights.put(name + ".weight", values);
    shapes.put(name + ".weight", new int[] {C});
  }

  /** The weights as a safetensors file of float32 tensors. */
  private byte[] file() {
    StringBuilder header = new StringBuilder("{");
    int at = 0;
    for (Map.Entry<String, int[]> entry : shapes.entrySet()) {
      int bytes = Float.BYTES * weights.get(entry.getKey()).length;
      header.append(header.length() == 1 ? "" : ",").append('"').append(entry.getKey());
      header.append("\":{\"dtype\":\"F32\",\"shape\":").append(Arrays.toString(entry.getValue()));
      header.append(",\"data_offsets\":[").append(at).append(',').append(at + bytes).append("]}");
      at += bytes;
    }
    byte[] json = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(8 + json.length + at).order(ByteOrder.LITTLE_ENDIAN);
    out.putLong(json.length).put(json);
    weights.values().forEach(w -> Arrays.stream(w).forEach(v -> out.putFloat((float) v)));
    return out.array();
  }

  private double[] weight(String name) {
    return weights.get(name + ".weight");
  }

  /** Logits of all positions; keeps the hidden states. */
  private double[] run(int[] tokens) {
    hidden.clear();
    double[] x = new double[tokens.length * C];
    for (int t = 0; t < tokens.length; t++) {
      System.arraycopy(weight("model.embed_tokens"), tokens[t] * C, x, t * C, C);
    }
    for (int l = 0; l < LAYERS; l++) {
      hidden.add(x.clone());
      String at = "model.layers." + l + ".";
      add(x, attention(at, Formulas.rmsNorm(x, weight(at + "input_layernorm"), EPS)));
      double[] y = Formulas.rmsNorm(x, weight(at + "post_attention_layernorm"), EPS);
      double[] out = new double[x.length];
      for (int t = 0; t < tokens.length; t++) {
        double[] token = Arrays.copyOfRange(y, t * C, (t + 1) * C);
        double[] sum = l == 0 ? expert(at + "mlp.", token) : mixture(at + "mlp.", token);
        System.arraycopy(sum, 0, out, t * C, C);
      }
      add(x, out);
    }
    double[] last = Formulas.rmsNorm(x, weight("model.norm"), EPS);
    hidden.add(last);
    return Formulas.linear(last, weight("lm_head"), C);
  }

  private static void add(double[] x, double[] y) {
    for (int i = 0; i < x.length; i++) {
      x[i] += y[i];
    }
  }

  private double[] attention(String at, double[] x) {
    double[] q = Formulas.linear(x, weight(at + "self_attn.q_proj"), C);
    double[] k = Formulas.linear(x, weight(at + "self_attn.k_proj"), C);
    double[] v = Formulas.linear(x, weight(at + "self_attn.v_proj"), C);
    float[] frequencies = new float[HEAD / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = (float) Math.pow(10_000, -2.0 * i / HEAD);
    }
    double[] out = new double[x.length];
    for (int t = 0; t < x.length / C; t++) {
      for (int h = 0; h < HEADS; h++) {
        int own = t * C + h * HEAD;
        Formulas.rope(q, own, frequencies, 1, RopeLayout.HALF_SPLIT, t);
        Formulas.rope(k, own, frequencies, 1, RopeLayout.HALF_SPLIT, t);
        double[] scores = new double[t + 1];
        for (int s = 0; s <= t; s++) {
          scores[s] = Formulas.dot(q, own, k, s * C + h * HEAD, HEAD) / Math.sqrt(HEAD);
        }
        double[] p = Formulas.softmax(scores);
        for (int s = 0; s <= t; s++) {
          for (int i = 0; i < HEAD; i++) {
            out[own + i] += p[s] * v[s * C + h * HEAD + i];
          }
        }
      }
    }
    return Formulas.linear(out, weight(at + "self_attn.o_proj"), C);
  }

  /** The shared experts, and the chosen ones by their plain probabilities. */
  private double[] mixture(String at, double[] x) {
    double[] p = Formulas.softmax(Formulas.linear(x, weight(at + "gate"), C));
    List<Integer> order =
        IntStream.range(0, EXPERTS).boxed().sorted(Comparator.comparingDouble(e -> -p[e])).toList();
    if (p[order.get(TOP_K - 1)] - p[order.get(TOP_K)] < CLEAR_GAP) {
      throw new IllegalStateException("rounding must not decide an expert: choose another seed");
    }
    double[] out = expert(at + "shared_experts.", x);
    for (int e : order.subList(0, TOP_K)) {
      double[] y = expert(at + "experts." + e + ".", x);
      for (int i = 0; i < C; i++) {
        out[i] += p[e] * y[i];
      }
    }
    return out;
  }

  private double[] expert(String at, double[] x) {
    return Formulas.expert(
        x, weight(at + "gate_proj"), weight(at + "up_proj"), weight(at + "down_proj"));
  }
}
