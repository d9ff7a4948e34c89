package dev.fathom.backend.contract;

import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Expert;
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
 * Routers and experts. A routing is seen through experts that give it away: expert e adds its
 * weight to element e and nothing else.
 */
abstract class ExpertContract extends OpContract {

  /** Logits 2 * s(16, 1.7, 0) of the vectors T3 to T5. */
  private static final float[] LOGITS = twice(OpCase.sine(16, 1.7, 0));

  private static final float[] BIAS = {
    0.3f, -0.2f, 0.05f, -0.4f, -1.2f, -1.3f, -1.1f, -1.25f, 0.02f, -0.6f, 0.33f, -0.15f, -0.9f,
    0.12f, -0.05f, 0.21f
  };

  private static float[] twice(float[] values) {
    float[] out = new float[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = 2 * values[i];
    }
    return out;
  }

  @Test
  void theV3GateGivesTheVectorT3OfTheSpecification() {
    float[] got = gate(new RouterSpec.SigmoidNoAuxTc(16, 3, 4, 2, true, 2.5), BIAS);
    Near.relative("T3", got, sparse(0, 0.9140415, 15, 0.8869976, 14, 0.6989609), 1e-5);
  }

  @Test
  void maskedGroupsCanNotBeChosenEvenWhereAllBiasedScoresAreNegative() {
    float[] bias = new float[16];
    for (int e = 0; e < 16; e++) {
      bias[e] = BIAS[e] - 1.4f;
    }
    float[] got = gate(new RouterSpec.SigmoidNoAuxTc(16, 3, 4, 2, true, 2.5), bias);
    Near.relative("T3b", got, sparse(0, 0.9140415, 15, 0.8869976, 14, 0.6989609), 1e-5);
    RouterSpec.MaskedGroups zero = RouterSpec.MaskedGroups.ZERO;
    float[] old = gate(new RouterSpec.SigmoidNoAuxTc(16, 3, 4, 2, true, 2.5, zero), bias);
    double sum = 0.8315951 + 0.1978559 + 0.2250852;
    Near.relative(
        "T3b",
        old,
        sparse(4, 2.5 * 0.8315951 / sum, 5, 2.5 * 0.1978559 / sum, 6, 2.5 * 0.2250852 / sum),
        1e-5);
  }

  @Test
  void theV2GateGivesTheVectorT4OfTheSpecification() {
    float[] got = gate(new RouterSpec.SoftmaxGroupLimited(16, 3, 4, 2, false, 16), null);
    Near.relative("T4", got, sparse(11, 2.878928, 0, 2.832506, 3, 1.047136), 1e-5);
  }

  @Test
  void theV4GateGivesTheVectorT5OfTheSpecification() {
    float[] got = gate(new RouterSpec.SqrtSoftplusNoAuxTc(16, 3, 1.5), BIAS);
    Near.relative("T5", got, sparse(0, 0.507414, 15, 0.4834568, 11, 0.5091292), 1e-5);
  }

  @Test
  void equalScoresChooseTheLowestExperts() {
    OpCase c = new OpCase(unit(8), 8);
    Value routing =
        c.g.route(
            c.x,
            c.weights.exact("gate.weight", new float[64], 8, 8),
            null,
            new RouterSpec.SoftmaxGreedy(8, 3, true, 1));
    float[] got = c.run(provider(), telltale(c, routing, 8));
    double third = 1 / 3.0;
    double[] want = {third, third, third, 0, 0, 0, 0, 0};
    Near.ofLargest("ties", got, want, tolerance(2e-6));
  }

  private static double[] sparse(int a, double wa, int b, double wb, int d, double wd) {
    double[] out = new double[16];
    out[a] = wa;
    out[b] = wb;
    out[d] = wd;
    return out;
  }

  private static float[] unit(int len) {
    float[] x = new float[len];
    x[0] = 1;
    return x;
  }

  /** Weights that a spec gives the 16 experts for LOGITS: one token, x = (1, 0, ..). */
  private float[] gate(RouterSpec spec, float[] bias) {
    OpCase c = new OpCase(unit(16), 16);
    float[] column = new float[256];
    for (int e = 0; e < 16; e++) {
      column[e * 16] = LOGITS[e];
    }
    WeightRef weight = c.weights.exact("gate.weight", column, 16, 16);
    WeightRef biasRef = bias == null ? null : c.weights.exact("gate.bias", bias, 16);
    Value routing = c.g.route(c.x, weight, biasRef, spec);
    return c.run(provider(), telltale(c, routing, 16));
  }

  /** Experts whose only output is element e: gate and up look at element 0, which is 1. */
  private static Value telltale(OpCase c, Value routing, int numExperts) {
    float[] one = unit(numExperts);
    float silu = (float) (1 / Formulas.swiGlu(1, 1));
    List<Expert> experts = new ArrayList<>();
    for (int e = 0; e < numExperts; e++) {
      float[] down = new float[numExperts];
      down[e] = silu;
      experts.add(
          new Expert(
              c.weights.exact(e + ".gate", one, 1, numExperts),
              c.weights.exact(e + ".up", one, 1, numExperts),
              c.weights.exact(e + ".down", down, numExperts, 1)));
    }
    return c.g.moe(c.x, routing, experts);
  }

  private static List<RouterSpec> specs() {
    return List.of(
        new RouterSpec.SigmoidNoAuxTc(1, 1, 1, 1, true, 2.5),
        new RouterSpec.SigmoidNoAuxTc(16, 4, 4, 2, true, 2.5),
        new RouterSpec.SigmoidNoAuxTc(24, 5, 4, 1, false, 1.5),
        new RouterSpec.SigmoidNoAuxTc(13, 3, 1, 1, true, 2.5),
        new RouterSpec.SoftmaxGreedy(6, 2, false, 1),
        new RouterSpec.SoftmaxGreedy(25, 6, true, 4),
        new RouterSpec.SoftmaxGreedy(4, 1, true, 3),
        new RouterSpec.SoftmaxGreedy(4, 4, false, 2),
        new RouterSpec.SoftmaxGroupLimited(24, 6, 8, 3, false, 16),
        new RouterSpec.SoftmaxGroupLimited(12, 2, 3, 1, true, 16),
        new RouterSpec.SqrtSoftplusNoAuxTc(16, 3, 1.5),
        new RouterSpec.SqrtSoftplusNoAuxTc(207, 8, 2.5));
  }

  @TestFactory
  Stream<DynamicTest> everyRouterAgreesWithItsFormula() {
    return specs().stream()
        .flatMap(spec ->
            Stream.of(true, false)
                .filter(biased -> !biased || spec.usesBias())
                .map(biased ->
                    dynamicTest(
                        spec + (biased ? " biased" : ""), () -> checkRouter(spec, biased))));
  }

  /** The input's element 0 is 1 for the telltale experts; the router reads all elements. */
  private void checkRouter(RouterSpec spec, boolean biased) {
    int numExperts = spec.numExperts();
    int numTokens = 13;
    float[] table = OpCase.normal(numTokens * numExperts, 1, 17);
    for (int t = 0; t < numTokens; t++) {
      table[t * numExperts] = 1;
    }
    OpCase c = new OpCase(table, numExperts);
    double deviation = 1.5 / Math.sqrt(numExperts);
    WeightRef weight =
        c.weights.normal("gate.weight", WeightFormat.BF16, deviation, numExperts, numExperts);
    WeightRef bias = c.weights.normal("gate.bias", WeightFormat.F32, 0.5, numExperts);
    Value routing = c.g.route(c.x, weight, biased ? bias : null, spec);
    float[] got = c.run(provider(), telltale(c, routing, numExperts));
    double[] logits = Formulas.linear(c.in, c.weights.values(weight), numExperts);
    int compared = 0;
    for (int t = 0; t < numTokens; t++) {
      double[] row = Arrays.copyOfRange(logits, t * numExperts, (t + 1) * numExperts);
      RouterFormula want =
          new RouterFormula(spec, row, biased ? c.weights.values(bias) : new double[0]);
      if (want.margin > tolerance(1e-5)) {
        float[] ours = Arrays.copyOfRange(got, t * numExperts, (t + 1) * numExperts);
        Near.ofLargest("token " + t, ours, want.weights, tolerance(5e-6));
        compared++;
      }
    }
    if (compared < numTokens / 2) {
      throw new AssertionError("too many near ties to compare: " + compared);
    }
  }

  @TestFactory
  Stream<DynamicTest> expertsAgreeWithTheirFormulaInEveryFormat() {
    return weightFormats().stream()
        .flatMap(format ->
            IntStream.of(1, 4, 25)
                .mapToObj(
                    n -> dynamicTest(format + " T=" + n, () -> checkExperts(format, n, 6, 2))));
  }

  @Test
  void allExpertsMayBeChosenAndAnExpertMayBeChosenByNobody() {
    checkExperts(WeightFormat.BF16, 3, 4, 4);
    checkExperts(WeightFormat.BF16, 1, 25, 1);
  }

  private void checkExperts(WeightFormat format, int numTokens, int numExperts, int topK) {
    OpCase c = OpCase.normal(numTokens, 25);
    List<Expert> experts = experts(c, List.of(format), numExperts, 25, 13);
    checkExperts(c, experts, topK, tolerance(5e-6));
  }

  @TestFactory
  Stream<DynamicTest> expertsOfOneLayerMayHaveAnyMixOfFormats() {
    List<WeightFormat> all = new ArrayList<>(weightFormats());
    all.addAll(moreExpertFormats());
    return IntStream.of(1, 4, 25)
        .boxed()
        .flatMap(n ->
            Stream.of(
                dynamicTest(
                    weightFormats() + " T=" + n,
                    () -> checkMix(weightFormats(), n, 300, 207, tolerance(5e-6))),
                dynamicTest(
                    all + " T=" + n, () -> checkMix(all, n, 320, 224, roundedTolerance()))));
  }

  private void checkMix(
      List<WeightFormat> formats, int numTokens, int hidden, int inner, double tolerance) {
    OpCase c = OpCase.normal(numTokens, hidden);
    checkExperts(c, experts(c, formats, 2 * formats.size(), hidden, inner), 3, tolerance);
  }

  @Test
  void aNanInOneExpertReachesNobodyWhoDidNotChooseIt() {
    assumeTrue(weightFormats().contains(WeightFormat.FP8_E4M3));
    OpCase c = OpCase.normal(13, 300);
    List<Expert> experts = experts(c, List.of(WeightFormat.FP8_E4M3), 6, 300, 207);
    c.weights.putNan(experts.get(2).up(), 7);
    checkExperts(c, experts, 2, tolerance(5e-6));
  }

  /** Experts whose gates, ups and downs have formats in turn, each beginning with another one. */
  private static List<Expert> experts(
      OpCase c, List<WeightFormat> formats, int numExperts, int hidden, int inner) {
    List<Expert> experts = new ArrayList<>();
    int n = formats.size();
    for (int e = 0; e < numExperts; e++) {
      WeightFormat gate = formats.get(e % n);
      WeightFormat up = formats.get((e + e / n) % n);
      WeightFormat down = formats.get((e + 2) % n);
      experts.add(
          new Expert(
              c.weights.normal(e + ".gate", gate, 0.3, inner, hidden),
              c.weights.normal(e + ".up", up, 0.3, inner, hidden),
              c.weights.normal(e + ".down", down, 0.3, hidden, inner)));
    }
    return experts;
  }

  private void checkExperts(OpCase c, List<Expert> experts, int topK, double tolerance) {
    int numTokens = c.numTokens;
    int numExperts = experts.size();
    int hidden = c.in.length / numTokens;
    RouterSpec spec = new RouterSpec.SigmoidNoAuxTc(numExperts, topK, 1, 1, true, 2.5);
    WeightRef gate = c.weights.normal("gate.weight", WeightFormat.F32, 0.3, numExperts, hidden);
    Value y = c.g.moe(c.x, c.g.route(c.x, gate, null, spec), experts);
    double[] logits = Formulas.linear(c.in, c.weights.values(gate), hidden);
    double[] want = new double[numTokens * hidden];
    for (int t = 0; t < numTokens; t++) {
      double[] row = Arrays.copyOfRange(logits, t * numExperts, (t + 1) * numExperts);
      double[] weights = new RouterFormula(spec, row, new double[0]).weights;
      for (int e = 0; e < numExperts; e++) {
        if (weights[e] == 0) {
          continue;
        }
        double[] out = expert(c, experts.get(e), c.in(t));
        for (int i = 0; i < hidden; i++) {
          want[t * hidden + i] += weights[e] * out[i];
        }
      }
    }
    Near.ofLargest("moe", c.run(provider(), y), want, tolerance);
  }

  private static double[] expert(OpCase c, Expert e, double[] x) {
    WeightFixture w = c.weights;
    return Formulas.expert(x, w.values(e.gate()), w.values(e.up()), w.values(e.down()));
  }
}
