package dev.fathom.golden;

import dev.fathom.backend.contract.Formulas;
import dev.fathom.backend.contract.Formulas.MlaSizes;
import dev.fathom.program.Program;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The sample's module of multi-token prediction, written out in float64 from the V3 report and the
 * specification with the sample's sizes as constants. It shares nothing with the program but the
 * bytes of the weights.
 */
final class PlainPrediction {

  private static final String AT = "model.layers.6.";
  private static final int C = 256;
  private static final int HEADS = 8;
  private static final int NOPE = 32;
  private static final int ROPE = 16;
  private static final int V = 32;
  private static final int RANK = 64;
  private static final int QUERY_RANK = 128;
  private static final int EXPERTS = 16;
  private static final int TOP_K = 4;
  private static final int GROUPS = 4;
  private static final int KEPT_GROUPS = 2;
  private static final double SCALING = 2.5;
  private static final double EPS = 1e-6;
  private static final double YARN_FACTOR = 4;
  private static final double TRAINED_POSITIONS = 1024;

  private final TestModel model;
  private final Map<String, WeightRef> refs = new HashMap<>();
  private final Map<String, double[]> decoded = new HashMap<>();
  private double margin = Double.POSITIVE_INFINITY;

  /** States [T, C], logits [T, V], and how far apart chosen and rejected experts were. */
  record Result(double[] states, double[] logits, double margin) {}

  PlainPrediction(TestModel model) {
    this.model = model;
    for (Program program : model.programs()) {
      program.weights().forEach(w -> refs.put(w.name(), w));
    }
  }

  private double[] weight(String name) {
    return decoded.computeIfAbsent(
        name,
        n -> {
          WeightRef ref = refs.get(n);
          if (ref == null) {
            throw new IllegalArgumentException("no weight " + n);
          }
          WeightMatrix matrix = model.read(ref);
          float[] row = new float[matrix.cols()];
          double[] values = new double[matrix.rows() * matrix.cols()];
          for (int r = 0; r < matrix.rows(); r++) {
            matrix.decodeRow(r, row, 0);
            for (int i = 0; i < row.length; i++) {
              values[r * row.length + i] = row[i];
            }
          }
          return values;
        });
  }

  private double[] layer(String name) {
    return weight(AT + name + ".weight");
  }

  /** State t and the token behind it give state and logits t; all positions from 0. */
  Result run(float[] hidden, int[] next) {
    int n = next.length;
    double[] embedding = weight("model.embed_tokens.weight");
    double[] states = new double[n * C];
    double[] h = Formulas.rmsNorm(Formulas.widen(hidden), layer("hnorm"), EPS);
    for (int t = 0; t < n; t++) {
      double[] e = Arrays.copyOfRange(embedding, next[t] * C, (next[t] + 1) * C);
      double[] joined = Arrays.copyOf(Formulas.rmsNorm(e, layer("enorm"), EPS), 2 * C);
      System.arraycopy(h, t * C, joined, C, C);
      double[] u = Formulas.linear(joined, layer("eh_proj"), 2 * C);
      System.arraycopy(u, 0, states, t * C, C);
    }
    add(states, attention(Formulas.rmsNorm(states, layer("input_layernorm"), EPS)));
    double[] x = Formulas.rmsNorm(states, layer("post_attention_layernorm"), EPS);
    for (int t = 0; t < n; t++) {
      double[] y = mixture(Arrays.copyOfRange(x, t * C, (t + 1) * C));
      for (int i = 0; i < C; i++) {
        states[t * C + i] += y[i];
      }
    }
    double[] last = Formulas.rmsNorm(states, layer("shared_head.norm"), EPS);
    return new Result(states, Formulas.linear(last, weight("lm_head.weight"), C), margin);
  }

  private static void add(double[] x, double[] y) {
    for (int i = 0; i < x.length; i++) {
      x[i] += y[i];
    }
  }

  private double[] attention(double[] x) {
    String at = "self_attn.";
    int n = x.length / C;
    int head = NOPE + ROPE;
    double[] qLatent = Formulas.linear(x, layer(at + "q_a_proj"), C);
    qLatent = Formulas.rmsNorm(qLatent, layer(at + "q_a_layernorm"), EPS);
    double[] q = Formulas.linear(qLatent, layer(at + "q_b_proj"), QUERY_RANK);
    double[] a = Formulas.linear(x, layer(at + "kv_a_proj_with_mqa"), C);
    double[] latents = Formulas.slice(a, RANK + ROPE, 0, RANK);
    latents = Formulas.rmsNorm(latents, layer(at + "kv_a_layernorm"), EPS);
    double[] keys = Formulas.slice(a, RANK + ROPE, RANK, RANK + ROPE);
    float[] frequencies = frequencies();
    for (int t = 0; t < n; t++) {
      Formulas.rope(keys, t * ROPE, frequencies, 1, RopeLayout.INTERLEAVED, t);
      for (int i = 0; i < HEADS; i++) {
        int begin = (t * HEADS + i) * head + NOPE;
        Formulas.rope(q, begin, frequencies, 1, RopeLayout.INTERLEAVED, t);
      }
    }
    double m = 0.1 * Math.log(YARN_FACTOR) + 1;
    MlaSizes sizes = new MlaSizes(HEADS, NOPE, ROPE, V, RANK, m * m / Math.sqrt(head));
    double[] out = new double[n * C];
    for (int t = 0; t < n; t++) {
      double[] query = Arrays.copyOfRange(q, t * HEADS * head, (t + 1) * HEADS * head);
      double[] seenLatents = Arrays.copyOf(latents, (t + 1) * RANK);
      double[] seenKeys = Arrays.copyOf(keys, (t + 1) * ROPE);
      double[] kvB = layer(at + "kv_b_proj");
      double[] heads = Formulas.mla(sizes, query, seenLatents, seenKeys, kvB);
      double[] o = Formulas.linear(heads, layer(at + "o_proj"), HEADS * V);
      System.arraycopy(o, 0, out, t * C, C);
    }
    return out;
  }

  /** YaRN: pairs of more than 32 turns are kept, of less than 1 stretched, others blended. */
  private static float[] frequencies() {
    double low = Math.max(Math.floor(pair(32)), 0);
    double high = Math.min(Math.ceil(pair(1)), ROPE - 1);
    float[] frequencies = new float[ROPE / 2];
    for (int i = 0; i < frequencies.length; i++) {
      double plain = Math.pow(10_000, -2.0 * i / ROPE);
      double ramp = Math.min(1, Math.max(0, (i - low) / (high - low)));
      frequencies[i] = (float) (plain * (1 - ramp) + plain / YARN_FACTOR * ramp);
    }
    return frequencies;
  }

  private static double pair(double turns) {
    return ROPE * Math.log(TRAINED_POSITIONS / (turns * 2 * Math.PI)) / (2 * Math.log(10_000));
  }

  private double[] mixture(double[] x) {
    double[] scores = Formulas.linear(x, layer("mlp.gate"), C);
    double[] bias = weight(AT + "mlp.gate.e_score_correction_bias");
    double[] choice = new double[EXPERTS];
    for (int e = 0; e < EXPERTS; e++) {
      scores[e] = 1 / (1 + Math.exp(-scores[e]));
      choice[e] = scores[e] + bias[e];
    }
    List<Integer> chosen = best(candidates(choice), choice, TOP_K);
    double sum = chosen.stream().mapToDouble(e -> scores[e]).sum() + 1e-20;
    double[] out = expert(x, "mlp.shared_experts.");
    for (int e : chosen) {
      double[] y = expert(x, "mlp.experts." + e + ".");
      for (int i = 0; i < C; i++) {
        out[i] += scores[e] / sum * SCALING * y[i];
      }
    }
    return out;
  }

  /** Experts of the groups whose two best add up to most. */
  private List<Integer> candidates(double[] choice) {
    int size = EXPERTS / GROUPS;
    double[] group = new double[GROUPS];
    for (int g = 0; g < GROUPS; g++) {
      double[] sorted = Arrays.copyOfRange(choice, g * size, (g + 1) * size);
      Arrays.sort(sorted);
      group[g] = sorted[size - 1] + sorted[size - 2];
    }
    List<Integer> candidates = new ArrayList<>();
    for (int g : best(IntStream.range(0, GROUPS).boxed().toList(), group, KEPT_GROUPS)) {
      IntStream.range(g * size, (g + 1) * size).forEach(candidates::add);
    }
    return candidates;
  }

  private List<Integer> best(List<Integer> of, double[] score, int k) {
    List<Integer> sorted = of.stream().sorted(Comparator.comparingDouble(e -> -score[e])).toList();
    margin = Math.min(margin, score[sorted.get(k - 1)] - score[sorted.get(k)]);
    return sorted.subList(0, k);
  }

  private double[] expert(double[] x, String at) {
    return Formulas.expert(
        x, layer(at + "gate_proj"), layer(at + "up_proj"), layer(at + "down_proj"));
  }
}
