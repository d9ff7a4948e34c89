package dev.fathom.backend.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.backend.LatentForm;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Operations that not every family has: grouped-query attention, layer norm, sparse selection. */
abstract class SelectionContract extends AttentionContract {

  private static final int[] SIZES = {1, 4, 6, 13, 25, 207, 702};

  private static final int HEADS = 3;
  private static final int NOPE = 4;
  private static final int ROPE = 2;
  private static final int RANK = 7;
  private static final int V = 5;
  private static final int INDEX_HEADS = 5;
  private static final int INDEX_DIM = 6;
  private static final int KEY_AT = HEADS * (NOPE + ROPE);
  private static final int INDEX_AT = KEY_AT + RANK + ROPE;
  private static final int HEAD_WEIGHTS_AT = INDEX_AT + INDEX_HEADS * INDEX_DIM;
  private static final int INDEX_KEY_AT = HEAD_WEIGHTS_AT + INDEX_HEADS;
  private static final int WIDTH = INDEX_KEY_AT + INDEX_DIM;
  private static final Formulas.MlaSizes SPARSE =
      new Formulas.MlaSizes(HEADS, NOPE, ROPE, V, RANK, 0.4);

  @TestFactory
  Stream<DynamicTest> layerNormAgreesWithItsFormulaAtEverySize() {
    assumeTrue(supports(Op.LayerNorm.class), "the backend does not have layerNorm");
    return IntStream.of(SIZES)
        .mapToObj(size ->
            dynamicTest(
                "C=" + size,
                () -> {
                  OpCase c = OpCase.normal(3, size);
                  WeightRef weight = c.weights.normal("norm", WeightFormat.BF16, 1, size);
                  WeightRef bias = c.weights.normal("bias", WeightFormat.F32, 1, size);
                  Value y = c.g.layerNorm(c.x, weight, bias, 1e-6);
                  double[] want = layerNorm(c.in, c.weights.values(weight), c.weights.values(bias));
                  double[] magnitude = Arrays.stream(want).map(v -> Math.abs(v) + 2).toArray();
                  Near.elementwise(
                      "layerNorm", c.run(provider(), y), want, magnitude, tolerance(3e-6));
                }));
  }

  private static double[] layerNorm(double[] x, double[] weight, double[] bias) {
    int width = weight.length;
    double[] out = new double[x.length];
    for (int from = 0; from < x.length; from += width) {
      double[] row = Arrays.copyOfRange(x, from, from + width);
      double mean = Arrays.stream(row).average().orElseThrow();
      double variance = Arrays.stream(row).map(v -> (v - mean) * (v - mean)).sum() / width;
      for (int i = 0; i < width; i++) {
        out[from + i] = (row[i] - mean) / Math.sqrt(variance + 1e-6) * weight[i] + bias[i];
      }
    }
    return out;
  }

  @TestFactory
  Stream<DynamicTest> groupedQueryAttentionAgreesWithItsFormula() {
    assumeTrue(supports(Op.Attention.class), "the backend does not have attention");
    return Stream.of(
            new int[] {1, 1, 1, 25},
            new int[] {6, 2, 4, 25},
            new int[] {4, 4, 13, 25},
            new int[] {14, 2, 17, 75},
            new int[] {20, 1, 5, 40})
        .map(s -> dynamicTest(Arrays.toString(s), () -> checkGroupedQuery(s[0], s[1], s[2], s[3])));
  }

  /** A token's embedding is its query heads, keys and values. */
  private void checkGroupedQuery(int heads, int kvHeads, int dim, int numTokens) {
    int width = (heads + 2 * kvHeads) * dim;
    OpCase c = OpCase.normal(numTokens, width).with(new Capacities().maxTokens(numTokens));
    KvSpec.Full cache = new KvSpec.Full(0, kvHeads, dim);
    Value keys = c.g.slice(c.x, heads * dim, (heads + kvHeads) * dim);
    c.g.storeKv(cache, keys, c.g.slice(c.x, (heads + kvHeads) * dim, width));
    Value query = c.g.reshape(c.g.slice(c.x, 0, heads * dim), heads, dim);
    float[] got = c.run(provider(), c.g.attention(query, cache, 0.3));
    double[] want = new double[numTokens * heads * dim];
    for (int t = 0; t < numTokens; t++) {
      for (int h = 0; h < heads; h++) {
        int key = (heads + h / (heads / kvHeads)) * dim;
        double[] scores = new double[t + 1];
        for (int s = 0; s <= t; s++) {
          scores[s] = 0.3 * Formulas.dot(c.in, t * width + h * dim, c.in, s * width + key, dim);
        }
        double[] p = Formulas.softmax(scores);
        for (int j = 0; j < dim; j++) {
          for (int s = 0; s <= t; s++) {
            int value = s * width + key + kvHeads * dim + j;
            want[(t * heads + h) * dim + j] += p[s] * c.in[value];
          }
        }
      }
    }
    Near.ofLargest("attention", got, want, tolerance(1e-5));
  }

  @TestFactory
  Stream<DynamicTest> theIndexerKeepsTheBestPositionsAndAttentionSeesNoOther() {
    assumeTrue(supports(Op.TopKIndex.class), "the backend does not have topKIndex");
    return latentForms().stream()
        .flatMap(form ->
            IntStream.of(1, 6, 24, 25, 60)
                .mapToObj(k -> dynamicTest(form + " k=" + k, () -> checkSelection(form, k))));
  }

  @Test
  void positionsOfEqualScoreAreKeptFromTheFirst() {
    assumeTrue(supports(Op.TopKIndex.class), "the backend does not have topKIndex");
    float[] table = OpCase.normal(9 * WIDTH, 1, 23);
    for (int t = 0; t < 9; t++) {
      Arrays.fill(table, t * WIDTH + HEAD_WEIGHTS_AT, t * WIDTH + INDEX_KEY_AT, 0);
    }
    compare(LatentForm.AUTO, 4, table, 9);
  }

  private void checkSelection(LatentForm form, int k) {
    compare(form, k, OpCase.normal(25 * WIDTH, 1, 29), 25);
  }

  private void compare(LatentForm form, int k, float[] table, int numTokens) {
    WeightFixture weights = new WeightFixture(3);
    WeightRef kvB = weights.normal("kv_b", WeightFormat.BF16, 0.5, HEADS * (NOPE + V), RANK);
    Program program = sparse(weights, kvB, table, numTokens, k);
    double[] x = Formulas.widen(table);
    int compared = 0;
    Capacities capacities = new Capacities().form(form).outputs(OpCase.OUT);
    try (Rig rig = new Rig(provider(), program, weights, capacities)) {
      int[] blocks = {3, 9, 1, 22, 7, 30, 2};
      for (int from = 0; from < numTokens; from += 8) {
        int[] tokens = IntStream.range(from, Math.min(from + 8, numTokens)).toArray();
        float[] got = rig.run(Rig.Seq.last(blocks, from, tokens)).output(OpCase.OUT);
        for (int t : tokens) {
          double[] scores = indexScores(x, t);
          if (isClear(scores, k)) {
            float[] row =
                Arrays.copyOfRange(got, (t - from) * HEADS * V, (t - from + 1) * HEADS * V);
            double[] want = selected(x, t, best(scores, k), weights.values(kvB));
            Near.ofLargest("token " + t, row, want, tolerance(1e-5));
            compared++;
          }
        }
      }
    }
    assertThat(compared).isGreaterThan(numTokens / 2);
  }

  private static Program sparse(
      WeightFixture weights, WeightRef kvB, float[] table, int numTokens, int k) {
    ProgramBuilder g = new ProgramBuilder("sparse");
    Value x = g.embed(g.tokens(), weights.exact("table", table, numTokens, WIDTH));
    KvSpec.Latent cache = new KvSpec.Latent(0, RANK, ROPE);
    KvSpec.IndexerKeys keys = new KvSpec.IndexerKeys(0, INDEX_DIM);
    g.storeKv(cache, g.slice(x, KEY_AT, INDEX_AT));
    g.storeKv(keys, g.slice(x, INDEX_KEY_AT, WIDTH));
    Value indexQuery = g.reshape(g.slice(x, INDEX_AT, HEAD_WEIGHTS_AT), INDEX_HEADS, INDEX_DIM);
    Value headWeights = g.slice(x, HEAD_WEIGHTS_AT, INDEX_KEY_AT);
    Value selection = g.topKIndex(indexQuery, headWeights, keys, 0.7, k);
    Value query = g.reshape(g.slice(x, 0, KEY_AT), HEADS, NOPE + ROPE);
    g.output(OpCase.OUT, g.latentAttention(query, kvB, cache, NOPE, SPARSE.scale(), selection));
    WeightRef head = weights.exact("head", new float[numTokens * WIDTH], numTokens, WIDTH);
    g.output(Program.LOGITS, g.logits(x, head));
    return g.build();
  }

  /** sum over heads of weight * max(0, query . key) for the positions up to t. */
  private static double[] indexScores(double[] x, int t) {
    double[] scores = new double[t + 1];
    for (int s = 0; s <= t; s++) {
      for (int h = 0; h < INDEX_HEADS; h++) {
        int query = t * WIDTH + INDEX_AT + h * INDEX_DIM;
        double match = Formulas.dot(x, query, x, s * WIDTH + INDEX_KEY_AT, INDEX_DIM);
        scores[s] += x[t * WIDTH + HEAD_WEIGHTS_AT + h] * Math.max(0, match);
      }
    }
    return scores;
  }

  private static List<Integer> best(double[] scores, int k) {
    return IntStream.range(0, scores.length)
        .boxed()
        .sorted(Comparator.<Integer>comparingDouble(s -> -scores[s]).thenComparing(s -> s))
        .limit(k)
        .toList();
  }

  /** Whether rounding can't change what is kept: a clear gap, or exactly equal scores. */
  private static boolean isClear(double[] scores, int k) {
    if (k >= scores.length) {
      return true;
    }
    List<Integer> ranked = best(scores, scores.length);
    double gap = scores[ranked.get(k - 1)] - scores[ranked.get(k)];
    return gap > 1e-4 || Arrays.stream(scores).allMatch(s -> s == 0);
  }

  private static double[] selected(double[] x, int t, List<Integer> positions, double[] kvB) {
    double[] latents = new double[positions.size() * RANK];
    double[] keys = new double[positions.size() * ROPE];
    for (int i = 0; i < positions.size(); i++) {
      int at = positions.get(i) * WIDTH + KEY_AT;
      System.arraycopy(x, at, latents, i * RANK, RANK);
      System.arraycopy(x, at + RANK, keys, i * ROPE, ROPE);
    }
    double[] query = Arrays.copyOfRange(x, t * WIDTH, t * WIDTH + KEY_AT);
    return Formulas.mla(SPARSE, query, latents, keys, kvB);
  }
}
