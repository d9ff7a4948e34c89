package dev.fathom.backend.contract;

import dev.fathom.program.RopeLayout;
import java.util.Arrays;

/**
 * What the operations mean, in float64 and as the papers write them: slow, short, and independent
 * of every backend.
 */
public final class Formulas {

  private Formulas() {}

  /**
   * Numbers and how large the summands were that made them, element by element: rounding errors are
   * in proportion to the second.
   */
  public record Sums(double[] value, double[] magnitude) {}

  /** x / sqrt(mean(x^2) + eps) * weight for each vector of weight.length. */
  public static double[] rmsNorm(double[] x, double[] weight, double eps) {
    int width = weight.length;
    double[] out = new double[x.length];
    for (int from = 0; from < x.length; from += width) {
      double squares = 0;
      for (int i = 0; i < width; i++) {
        squares += x[from + i] * x[from + i];
      }
      double root = Math.sqrt(squares / width + eps);
      for (int i = 0; i < width; i++) {
        out[from + i] = x[from + i] / root * weight[i];
      }
    }
    return out;
  }

  /** x * weight^T + bias; the magnitude is the sum of the absolute products. */
  public static Sums linear(double[] x, double[] weight, int in, double[] bias) {
    int out = weight.length / in;
    int n = x.length / in;
    double[] value = new double[n * out];
    double[] magnitude = new double[n * out];
    for (int t = 0; t < n; t++) {
      for (int r = 0; r < out; r++) {
        double sum = bias.length == 0 ? 0 : bias[r];
        double size = Math.abs(sum);
        for (int i = 0; i < in; i++) {
          double product = x[t * in + i] * weight[r * in + i];
          sum += product;
          size += Math.abs(product);
        }
        value[t * out + r] = sum;
        magnitude[t * out + r] = size;
      }
    }
    return new Sums(value, magnitude);
  }

  /** x * weight^T without a bias. */
  public static double[] linear(double[] x, double[] weight, int in) {
    return linear(x, weight, in, new double[0]).value();
  }

  /** Elements [begin, end) of each vector of width elements. */
  public static double[] slice(double[] x, int width, int begin, int end) {
    double[] out = new double[x.length / width * (end - begin)];
    for (int t = 0; t < x.length / width; t++) {
      System.arraycopy(x, t * width + begin, out, t * (end - begin), end - begin);
    }
    return out;
  }

  /**
   * Rotary embedding of one vector in place, at elements [begin, begin + 2 * frequency.length). The
   * angle is rounded to float32 first, as the published code does.
   */
  public static void rope(
      double[] x, int begin, float[] frequency, double amplitude, RopeLayout layout, int position) {
    int pairs = frequency.length;
    for (int i = 0; i < pairs; i++) {
      float angle = (float) position * frequency[i];
      double cos = Math.cos(angle) * amplitude;
      double sin = Math.sin(angle) * amplitude;
      int first = begin + (layout == RopeLayout.INTERLEAVED ? 2 * i : i);
      int second = begin + (layout == RopeLayout.INTERLEAVED ? 2 * i + 1 : i + pairs);
      double a = x[first];
      double b = x[second];
      x[first] = a * cos - b * sin;
      x[second] = b * cos + a * sin;
    }
  }

  /** silu(gate) * up. */
  public static double swiGlu(double gate, double up) {
    return gate / (1 + Math.exp(-gate)) * up;
  }

  /** The output of one expert for the vector x: down(silu(gate x) * (up x)). */
  public static double[] expert(double[] x, double[] gate, double[] up, double[] down) {
    double[] g = linear(x, gate, x.length);
    double[] u = linear(x, up, x.length);
    for (int i = 0; i < g.length; i++) {
      g[i] = swiGlu(g[i], u[i]);
    }
    return linear(g, down, g.length);
  }

  /** Probabilities of scores. */
  public static double[] softmax(double[] scores) {
    double max = Arrays.stream(scores).max().orElseThrow();
    double[] p = Arrays.stream(scores).map(s -> Math.exp(s - max)).toArray();
    double sum = Arrays.stream(p).sum();
    return Arrays.stream(p).map(v -> v / sum).toArray();
  }

  /**
   * Sizes of a latent attention.
   *
   * @param heads H
   * @param nope elements of a query head without position
   * @param rope elements of the shared rotated key
   * @param v elements of a value head
   * @param rank L
   * @param scale factor on the scores
   */
  public record MlaSizes(int heads, int nope, int rope, int v, int rank, double scale) {}

  /**
   * Latent attention of one query over all keys given, with keys and values built per head as the
   * DeepSeek-V2 paper defines them. Keys are the latents [n, rank] and rotated keys [n, rope].
   */
  public static double[] mla(
      MlaSizes m, double[] query, double[] latents, double[] ropeKeys, double[] kvB) {
    int n = latents.length / m.rank();
    int width = m.nope() + m.v();
    double[] out = new double[m.heads() * m.v()];
    for (int h = 0; h < m.heads(); h++) {
      double[] scores = new double[n];
      for (int s = 0; s < n; s++) {
        scores[s] = score(m, query, h, latents, ropeKeys, kvB, s);
      }
      double[] p = softmax(scores);
      for (int s = 0; s < n; s++) {
        for (int j = 0; j < m.v(); j++) {
          int row = h * width + m.nope() + j;
          out[h * m.v() + j] += p[s] * dot(kvB, row * m.rank(), latents, s * m.rank(), m.rank());
        }
      }
    }
    return out;
  }

  private static double score(
      MlaSizes m, double[] query, int h, double[] latents, double[] ropeKeys, double[] kvB, int s) {
    int q = h * (m.nope() + m.rope());
    int row = h * (m.nope() + m.v());
    double score = dot(query, q + m.nope(), ropeKeys, s * m.rope(), m.rope());
    for (int i = 0; i < m.nope(); i++) {
      double key = dot(kvB, (row + i) * m.rank(), latents, s * m.rank(), m.rank());
      score += query[q + i] * key;
    }
    return score * m.scale();
  }

  /** Sum over i of a[aOff + i] * b[bOff + i]. */
  public static double dot(double[] a, int aOff, double[] b, int bOff, int len) {
    double sum = 0;
    for (int i = 0; i < len; i++) {
      sum += a[aOff + i] * b[bOff + i];
    }
    return sum;
  }

  /** The same numbers as float64. */
  public static double[] widen(float[] x) {
    double[] out = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      out[i] = x[i];
    }
    return out;
  }
}
