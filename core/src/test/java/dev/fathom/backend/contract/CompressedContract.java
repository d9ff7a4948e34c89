package dev.fathom.backend.contract;

import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.CompressedOp;
import dev.fathom.program.Expert;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * DeepSeek-V4's attention: a sliding window beside compressed entries under one softmax with sinks,
 * and experts by token id. A token's embedding is its query heads, its key, and the value and gate
 * rows of the compressor.
 */
abstract class CompressedContract extends StreamContract {

  private static final int NUM_TOKENS = 41;
  private static final float SCALE = 0.35f;

  /** One attention: H heads of D, a window, entries of ratio tokens (0 for none). */
  private record Shape(int heads, int dim, int window, int ratio, boolean overlaps) {

    int channels() {
      return overlaps ? 2 * dim : dim;
    }

    int keyAt() {
      return heads * dim;
    }

    int valuesAt() {
      return keyAt() + dim;
    }

    int gatesAt() {
      return valuesAt() + (ratio == 0 ? 0 : channels());
    }

    int width() {
      return gatesAt() + (ratio == 0 ? 0 : channels());
    }
  }

  private static final List<Shape> SHAPES =
      List.of(
          new Shape(1, 2, 1, 0, false),
          new Shape(3, 6, 5, 0, false),
          new Shape(18, 13, 64, 0, false),
          new Shape(3, 6, 5, 4, false),
          new Shape(2, 20, 7, 4, true),
          new Shape(5, 34, 1, 3, true),
          new Shape(2, 16, 9, 8, false));

  @TestFactory
  Stream<DynamicTest> windowsEntriesAndSinksShareOneSoftmaxHoweverThePromptIsCut() {
    assumeTrue(supports(CompressedOp.WindowAttention.class), "the backend has no windowAttention");
    return SHAPES.stream()
        .flatMap(shape ->
            IntStream.of(NUM_TOKENS, 8, 1)
                .mapToObj(chunk ->
                    dynamicTest(shape + " chunk=" + chunk, () -> checkWindow(shape, chunk))));
  }

  private void checkWindow(Shape s, int chunk) {
    WeightFixture weights = new WeightFixture(11);
    float[] table = OpCase.normal(NUM_TOKENS * s.width(), 1, 5);
    ProgramBuilder g = new ProgramBuilder("window");
    Value x = g.embed(g.tokens(), weights.exact("table", table, NUM_TOKENS, s.width()));
    KvSpec.SlidingWindow window = new KvSpec.SlidingWindow(0, s.dim(), s.window());
    g.storeKv(window, g.slice(x, s.keyAt(), s.valuesAt()));
    WeightRef sinks = weights.normal("sinks", WeightFormat.F32, 1, s.heads());
    int channels = s.channels();
    WeightRef ape = weights.normal("ape", WeightFormat.F32, 1, Math.max(1, s.ratio()), channels);
    WeightRef norm = weights.normal("norm", WeightFormat.F32, 1, s.dim());
    float[] frequencies = {1f, 0.1f};
    int turned = Math.min(2, s.dim() / 2);
    RopeSpec rope = new RopeSpec(Arrays.copyOf(frequencies, turned), 1.1f, RopeLayout.INTERLEAVED);
    KvSpec.Compressed entries = null;
    if (s.ratio() > 0) {
      int kept = s.overlaps() ? 2 * s.ratio() : s.ratio();
      KvSpec.CompressorRows rows = new KvSpec.CompressorRows(0, KvSpec.Stream.MAIN, channels, kept);
      g.storeKv(rows, g.slice(x, s.valuesAt(), s.gatesAt()), g.slice(x, s.gatesAt(), s.width()));
      entries = new KvSpec.Compressed(0, KvSpec.Stream.MAIN, s.dim(), s.ratio());
      g.compressed().compressKv(rows, entries, ape, norm, 1e-5, rope);
    }
    Value query = g.reshape(g.slice(x, 0, s.keyAt()), s.heads(), s.dim());
    g.output(
        OpCase.OUT, g.compressed().windowAttention(query, window, entries, null, sinks, SCALE));
    WeightRef head =
        weights.exact("head", new float[NUM_TOKENS * s.width()], NUM_TOKENS, s.width());
    g.output(Program.LOGITS, g.logits(x, head));
    double[] in = Formulas.widen(table);
    List<double[]> pooled = new ArrayList<>();
    for (int e = 0; s.ratio() > 0 && e < NUM_TOKENS / s.ratio(); e++) {
      double[] entry = pool(s, in, e, weights.values(ape), weights.values(norm));
      Formulas.rope(
          entry,
          s.dim() - 2 * turned,
          Arrays.copyOf(frequencies, turned),
          1.1f,
          RopeLayout.INTERLEAVED,
          e * s.ratio());
      pooled.add(entry);
    }
    int[] blocks = {3, 9, 1, 22, 7, 30, 2, 11, 12, 13, 14};
    Capacities capacities = new Capacities().outputs(OpCase.OUT);
    try (Rig rig = new Rig(provider(), g.build(), weights, capacities)) {
      for (int from = 0; from < NUM_TOKENS; from += chunk) {
        int[] tokens = IntStream.range(from, Math.min(from + chunk, NUM_TOKENS)).toArray();
        float[] got = rig.run(Rig.Seq.last(blocks, from, tokens)).output(OpCase.OUT);
        double[] want = new double[got.length];
        for (int t : tokens) {
          double[] row = attention(s, in, t, pooled, weights.values(sinks));
          System.arraycopy(row, 0, want, (t - from) * row.length, row.length);
        }
        Near.ofLargest("tokens from " + from, got, want, tolerance(1e-5));
      }
    }
  }

  /** Entry e before its rotation. */
  private static double[] pool(Shape s, double[] in, int e, double[] ape, double[] norm) {
    double[] entry = new double[s.dim()];
    for (int c = 0; c < s.dim(); c++) {
      List<double[]> rows = new ArrayList<>();
      int first = s.overlaps() && e > 0 ? (e - 1) * s.ratio() : e * s.ratio();
      for (int t = first; t < (e + 1) * s.ratio(); t++) {
        int channel = s.overlaps() && t >= e * s.ratio() ? s.dim() + c : c;
        double gate = in[t * s.width() + s.gatesAt() + channel];
        double value = in[t * s.width() + s.valuesAt() + channel];
        rows.add(new double[] {gate + ape[t % s.ratio() * s.channels() + channel], value});
      }
      double[] p = Formulas.softmax(rows.stream().mapToDouble(r -> r[0]).toArray());
      for (int i = 0; i < p.length; i++) {
        entry[c] += p[i] * rows.get(i)[1];
      }
    }
    return Formulas.rmsNorm(entry, norm, 1e-5);
  }

  private static double[] attention(
      Shape s, double[] in, int t, List<double[]> pooled, double[] sinks) {
    List<double[]> keys = new ArrayList<>();
    for (int p = Math.max(0, t - s.window() + 1); p <= t; p++) {
      int at = p * s.width() + s.keyAt();
      keys.add(Arrays.copyOfRange(in, at, at + s.dim()));
    }
    if (s.ratio() > 0) {
      keys.addAll(pooled.subList(0, (t + 1) / s.ratio()));
    }
    double[] out = new double[s.heads() * s.dim()];
    for (int h = 0; h < s.heads(); h++) {
      double[] scores = new double[keys.size() + 1];
      for (int i = 0; i < keys.size(); i++) {
        int query = t * s.width() + h * s.dim();
        scores[i] = SCALE * Formulas.dot(in, query, keys.get(i), 0, s.dim());
      }
      scores[keys.size()] = sinks[h];
      double[] p = Formulas.softmax(scores);
      for (int i = 0; i < keys.size(); i++) {
        for (int j = 0; j < s.dim(); j++) {
          out[h * s.dim() + j] += p[i] * keys.get(i)[j];
        }
      }
    }
    return out;
  }

  @Test
  void expertsOfAHashLayerAreThoseOfTheTokenAndWeighedByTheRouter() {
    assumeTrue(supports(CompressedOp.HashRoute.class), "the backend does not have hashRoute");
    int experts = 8;
    OpCase c = OpCase.normal(13, experts);
    WeightRef weight = c.weights.normal("gate.weight", WeightFormat.BF16, 0.7, experts, experts);
    float[] ids = new float[13 * 2];
    for (int t = 0; t < 13; t++) {
      ids[2 * t] = (3 * t) % experts;
      ids[2 * t + 1] = (3 * t + 5) % experts;
    }
    RouterSpec spec = new RouterSpec.SqrtSoftplusNoAuxTc(experts, 2, 1.5);
    Value routing =
        c.g
            .compressed()
            .hashRoute(c.x, c.tokens, weight, c.weights.exact("tid2eid", ids, 13, 2), spec);
    float[] got = c.run(provider(), telltaleOfGates(c, routing, experts));
    double[] want = new double[got.length];
    double[] logits = Formulas.linear(c.in, c.weights.values(weight), experts);
    for (int t = 0; t < 13; t++) {
      int a = (int) ids[2 * t];
      int b = (int) ids[2 * t + 1];
      double wa = Math.sqrt(Math.log1p(Math.exp(logits[t * experts + a])));
      double wb = Math.sqrt(Math.log1p(Math.exp(logits[t * experts + b])));
      double x = c.in[t * experts];
      double activation = Formulas.swiGlu(x, x);
      want[t * experts + a] = 1.5 * wa / (wa + wb) * activation;
      want[t * experts + b] = 1.5 * wb / (wa + wb) * activation;
    }
    Near.ofLargest("hash", got, want, tolerance(1e-5));
  }

  /** Experts whose only output is element e: what element 0 of the input activates. */
  private static Value telltaleOfGates(OpCase c, Value routing, int numExperts) {
    List<Expert> experts = new ArrayList<>();
    for (int e = 0; e < numExperts; e++) {
      float[] first = new float[numExperts];
      first[0] = 1;
      float[] down = new float[numExperts];
      down[e] = 1;
      experts.add(
          new Expert(
              c.weights.exact(e + ".gate", first, 1, numExperts),
              c.weights.exact(e + ".up", first, 1, numExperts),
              c.weights.exact(e + ".down", down, numExperts, 1)));
    }
    return c.g.moe(c.x, routing, experts, Float.POSITIVE_INFINITY);
  }
}
