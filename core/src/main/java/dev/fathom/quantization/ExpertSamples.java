package dev.fathom.quantization;

import dev.fathom.moe.Router;
import dev.fathom.moe.RouterScratch;
import dev.fathom.program.Op;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;
import java.util.Arrays;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What each expert of an operation sees of the samples of its input: the tokens that the router
 * sends to it. An expert that is sent fewer than {@link #FEWEST} takes all samples.
 *
 * <p>Safe for several threads once made.
 */
final class ExpertSamples {

  /** Fewer tokens say too little about an expert. */
  static final int FEWEST = 8;

  private final float[] inputs;
  private final int width;
  private final int @Nullable [] chosen;
  private final int topK;

  /**
   * Routes the samples.
   *
   * @param inputs [n, C]
   * @param route the router, or null where it cannot be recomputed: each expert sees all
   * @param matrices gives weights by reference
   */
  ExpertSamples(
      float[] inputs,
      int width,
      Op.@Nullable Route route,
      Function<WeightRef, WeightMatrix> matrices) {
    this.inputs = inputs;
    this.width = width;
    this.topK = route == null ? 0 : route.spec().topK();
    this.chosen = route == null ? null : choose(route, matrices);
  }

  private int[] choose(Op.Route route, Function<WeightRef, WeightMatrix> matrices) {
    int numExperts = route.spec().numExperts();
    int n = inputs.length / width;
    float[] logits = new float[Math.multiplyExact(n, numExperts)];
    WeightMatrix gate = matrices.apply(route.weight());
    float[] row = new float[width];
    for (int e = 0; e < numExperts; e++) {
      gate.decodeRow(e, row, 0);
      for (int i = 0; i < n; i++) {
        logits[i * numExperts + e] = dot(inputs, i * width, row);
      }
    }
    float[] bias = null;
    WeightRef biasRef = route.bias();
    if (biasRef != null) {
      bias = new float[numExperts];
      matrices.apply(biasRef).decodeRow(0, bias, 0);
    }
    int[] ids = new int[Math.multiplyExact(n, topK)];
    float[] weights = new float[ids.length];
    RouterScratch scratch = new RouterScratch(numExperts);
    for (int i = 0; i < n; i++) {
      Router.route(route.spec(), logits, i * numExperts, bias, ids, weights, i * topK, scratch);
    }
    return ids;
  }

  private static float dot(float[] a, int off, float[] b) {
    double sum = 0;
    for (int c = 0; c < b.length; c++) {
      sum += (double) a[off + c] * b[c];
    }
    return (float) sum;
  }

  /** The inputs that an expert sees, [m, C]. */
  float[] inputsOf(int expert) {
    int[] ids = chosen;
    if (ids == null) {
      return inputs;
    }
    int m = 0;
    float[] rows = new float[inputs.length];
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] == expert) {
        System.arraycopy(inputs, i / topK * width, rows, m++ * width, width);
      }
    }
    return m < FEWEST ? inputs : Arrays.copyOf(rows, m * width);
  }

  /**
   * What an expert computes inside: silu(gate x) * (up x), [m, I].
   *
   * @param rows [m, C]
   */
  static float[] hidden(float[] rows, int width, WeightMatrix gate, WeightMatrix up) {
    int m = rows.length / width;
    int inner = gate.rows();
    float[] hidden = new float[Math.multiplyExact(m, inner)];
    float[] g = new float[width];
    float[] u = new float[width];
    for (int r = 0; r < inner; r++) {
      gate.decodeRow(r, g, 0);
      up.decodeRow(r, u, 0);
      for (int i = 0; i < m; i++) {
        float x = dot(rows, i * width, g);
        float silu = (float) (x / (1 + Math.exp(-x)));
        hidden[i * inner + r] = silu * dot(rows, i * width, u);
      }
    }
    return hidden;
  }
}
