package dev.fathom.guide;

import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.SafetensorsWriter;
import dev.fathom.checkpoint.TensorSpec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** A checkpoint of {@link ParallelDecoder} with random weights, and its logits in plain float64. */
final class ParallelCheckpoint {

  static final int VOCAB = 8192;
  private static final int HIDDEN = 12;
  private static final int HEADS = 3;
  private static final int DIM = HIDDEN / HEADS;
  private static final int WIDTH = 20;
  private static final int LAYERS = 2;
  private static final double EPS = 1e-5;
  private static final double THETA = 100;
  private static final Path SAMPLE = Path.of("..", "examples", "models", "sample");
  private static final String CONFIG =
      """
      {"model_type": "parallel", "vocab_size": %d, "hidden_size": %d, "num_attention_heads": %d,
       "num_hidden_layers": %d, "intermediate_size": %d, "max_position_embeddings": 64,
       "rms_norm_eps": 1e-5, "rope_theta": 100, "bos_token_id": 0, "eos_token_id": 1}
      """;

  private final Map<String, float[]> tensors = new LinkedHashMap<>();
  private final Map<TensorSpec, float[]> specs = new LinkedHashMap<>();
  private final Random random = new Random(5);

  ParallelCheckpoint(Path folder) throws IOException {
    add("model.embed_tokens.weight", VOCAB, HIDDEN);
    for (int i = 0; i < LAYERS; i++) {
      String at = "model.layers." + i + ".";
      add(at + "norm.weight", HIDDEN);
      for (String name : List.of("q", "k", "v", "o")) {
        add(at + "self_attn." + name + "_proj.weight", HIDDEN, HIDDEN);
      }
      add(at + "mlp.gate_proj.weight", WIDTH, HIDDEN);
      add(at + "mlp.up_proj.weight", WIDTH, HIDDEN);
      add(at + "mlp.down_proj.weight", HIDDEN, WIDTH);
    }
    add("model.norm.weight", HIDDEN);
    SafetensorsWriter.write(
        folder.resolve("model.safetensors"),
        List.copyOf(specs.keySet()),
        SafetensorsWriter.PYTORCH,
        (spec, sink) -> sink.write(MemorySegment.ofArray(bytes(specs.get(spec)))));
    Files.writeString(
        folder.resolve("config.json"), CONFIG.formatted(VOCAB, HIDDEN, HEADS, LAYERS, WIDTH));
    for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
      Files.copy(SAMPLE.resolve(name), folder.resolve(name));
    }
  }

  private void add(String name, long... shape) {
    int len = 1;
    for (long n : shape) {
      len *= (int) n;
    }
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (float) (random.nextGaussian() * (shape.length == 1 ? 1 : 0.4));
    }
    tensors.put(name, values);
    specs.put(TensorSpec.of(name, SafetensorsDtype.F32, shape), values);
  }

  private static byte[] bytes(float[] values) {
    ByteBuffer out = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    out.asFloatBuffer().put(values);
    return out.array();
  }

  /** Logits [T, V], computed with the whole sequence at once. */
  double[][] logits(int[] ids) {
    double[][] h = new double[ids.length][];
    for (int t = 0; t < ids.length; t++) {
      h[t] = row("model.embed_tokens.weight", ids[t]);
    }
    for (int i = 0; i < LAYERS; i++) {
      String at = "model.layers." + i + ".";
      double[][] x = norm(h, at + "norm.weight");
      double[][] attention = attention(x, at + "self_attn.");
      for (int t = 0; t < ids.length; t++) {
        double[] gate = times(at + "mlp.gate_proj.weight", x[t]);
        double[] up = times(at + "mlp.up_proj.weight", x[t]);
        for (int m = 0; m < WIDTH; m++) {
          gate[m] = gate[m] / (1 + Math.exp(-gate[m])) * up[m];
        }
        double[] mlp = times(at + "mlp.down_proj.weight", gate);
        for (int j = 0; j < HIDDEN; j++) {
          h[t][j] += attention[t][j] + mlp[j];
        }
      }
    }
    double[][] last = norm(h, "model.norm.weight");
    double[][] logits = new double[ids.length][];
    for (int t = 0; t < ids.length; t++) {
      logits[t] = times("model.embed_tokens.weight", last[t]);
    }
    return logits;
  }

  private double[][] attention(double[][] x, String at) {
    double[][] out = new double[x.length][];
    double[][] keys = new double[x.length][];
    double[][] values = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      double[] query = turned(times(at + "q_proj.weight", x[t]), t);
      keys[t] = turned(times(at + "k_proj.weight", x[t]), t);
      values[t] = times(at + "v_proj.weight", x[t]);
      double[] mixed = new double[HIDDEN];
      for (int head = 0; head < HEADS; head++) {
        double total = 0;
        double[] sum = new double[DIM];
        for (int s = 0; s <= t; s++) {
          double score = 0;
          for (int d = head * DIM; d < (head + 1) * DIM; d++) {
            score += query[d] * keys[s][d];
          }
          double weight = Math.exp(score / Math.sqrt(DIM));
          total += weight;
          for (int d = 0; d < DIM; d++) {
            sum[d] += weight * values[s][head * DIM + d];
          }
        }
        for (int d = 0; d < DIM; d++) {
          mixed[head * DIM + d] = sum[d] / total;
        }
      }
      out[t] = times(at + "o_proj.weight", mixed);
    }
    return out;
  }

  private static double[] turned(double[] x, int position) {
    double[] out = x.clone();
    for (int head = 0; head < HEADS; head++) {
      for (int i = 0; i < DIM / 2; i++) {
        double angle = position * Math.pow(THETA, -2.0 * i / DIM);
        int a = head * DIM + i;
        int b = a + DIM / 2;
        out[a] = x[a] * Math.cos(angle) - x[b] * Math.sin(angle);
        out[b] = x[b] * Math.cos(angle) + x[a] * Math.sin(angle);
      }
    }
    return out;
  }

  private double[][] norm(double[][] h, String name) {
    double[][] out = new double[h.length][HIDDEN];
    float[] weight = tensors.get(name);
    for (int t = 0; t < h.length; t++) {
      double sum = 0;
      for (double value : h[t]) {
        sum += value * value;
      }
      for (int j = 0; j < HIDDEN; j++) {
        out[t][j] = h[t][j] / Math.sqrt(sum / HIDDEN + EPS) * weight[j];
      }
    }
    return out;
  }

  private double[] row(String name, int r) {
    float[] weight = tensors.get(name);
    double[] row = new double[HIDDEN];
    for (int j = 0; j < HIDDEN; j++) {
      row[j] = weight[r * HIDDEN + j];
    }
    return row;
  }

  private double[] times(String name, double[] x) {
    float[] weight = tensors.get(name);
    double[] out = new double[weight.length / x.length];
    for (int r = 0; r < out.length; r++) {
      for (int j = 0; j < x.length; j++) {
        out[r] += weight[r * x.length + j] * x[j];
      }
    }
    return out;
  }
}
