package dev.fathom.backend.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Operations on single vectors: look-up, norm, matrix product, rotation, activation, sum. */
abstract class OpContract extends ContractPromises {

  private static final int[] SIZES = {1, 4, 6, 13, 25, 207, 702, 2046};

  /** {in, out, tokens} of matrix products. */
  private static final int[] NEIGHBOURS = {75, 33, 5, 64, 131};

  private static final int[][] PRODUCTS = {
    {1, 1, 1},
    {4, 6, 1},
    {6, 13, 4},
    {13, 25, 6},
    {25, 4, 13},
    {207, 13, 3},
    {300, 207, 2},
    {702, 25, 1},
    {25, 702, 2},
    {2046, 6, 5}
  };

  private static final float[] T2_FREQUENCIES = {1f, 0.1f, 0.01f, 0.001f};

  @TestFactory
  Stream<DynamicTest> anEmbeddingRowArrivesUnchangedFromEveryFormat() {
    return weightFormats().stream()
        .map(format ->
            dynamicTest(
                format.name(),
                () -> {
                  OpCase c = OpCase.normal(13, 4);
                  WeightRef table = c.weights.normal("other", format, 0.7, 13, 207);
                  Value out = c.g.embed(c.tokens, table);
                  float[] want = narrow(c.weights.values(table));
                  assertThat(c.run(provider(), out)).isEqualTo(want);
                }));
  }

  @TestFactory
  Stream<DynamicTest> rmsNormAgreesWithItsFormulaAtEverySize() {
    return IntStream.of(SIZES)
        .mapToObj(size ->
            dynamicTest(
                "C=" + size,
                () -> {
                  OpCase c = OpCase.normal(3, size);
                  WeightRef weight = c.weights.normal("norm", WeightFormat.BF16, 1, size);
                  float[] got = c.run(provider(), c.g.rmsNorm(c.x, weight, 1e-6));
                  double[] want = Formulas.rmsNorm(c.in, c.weights.values(weight), 1e-6);
                  Near.relative("rmsNorm", got, want, tolerance(3e-6));
                }));
  }

  @Test
  void rmsNormGivesTheVectorT1OfTheSpecification() {
    OpCase c = new OpCase(OpCase.sine(8, 1, 0), 8);
    float[] weight = new float[8];
    for (int i = 0; i < 8; i++) {
      weight[i] = 1 + 0.1f * i;
    }
    float[] got = c.run(provider(), c.g.rmsNorm(c.x, c.weights.exact("norm", weight, 8), 1e-6));
    double[] want = {
      1.117545, 1.328386, 0.2249032, -1.306627, -1.782946, -0.5566312, 1.396054, 2.233718
    };
    Near.relative("T1", got, want, tolerance(1e-5));
  }

  @Test
  void rmsNormOfTinyZeroAndLargeVectorsIsFiniteAndAddsEpsilonInsideTheRoot() {
    float[] table = new float[5 * 6];
    Arrays.fill(table, 6, 12, -0f);
    Arrays.fill(table, 12, 18, 1e-20f);
    Arrays.fill(table, 18, 24, Float.MIN_VALUE);
    Arrays.fill(table, 24, 30, 1e15f);
    OpCase c = new OpCase(table, 6);
    WeightRef weight = c.weights.normal("norm", WeightFormat.F32, 1, 6);
    float[] got = c.run(provider(), c.g.rmsNorm(c.x, weight, 1e-3));
    double[] want = Formulas.rmsNorm(c.in, c.weights.values(weight), 1e-3);
    Near.relative("rmsNorm", got, want, tolerance(3e-6));
  }

  @Test
  void rmsNormOverHeadsNormsEachHeadAlone() {
    OpCase c = OpCase.normal(4, 3 * 13);
    WeightRef weight = c.weights.normal("norm", WeightFormat.F32, 1, 13);
    Value heads = c.g.reshape(c.x, 3, 13);
    float[] got = c.run(provider(), c.g.rmsNorm(heads, weight, 1e-6));
    double[] want = Formulas.rmsNorm(c.in, c.weights.values(weight), 1e-6);
    Near.relative("rmsNorm", got, want, tolerance(3e-6));
  }

  @TestFactory
  Stream<DynamicTest> aLinearAgreesWithItsFormulaInEveryFormatAndAtEverySize() {
    return weightFormats().stream()
        .flatMap(format ->
            Stream.of(PRODUCTS)
                .map(p ->
                    dynamicTest(
                        format + " " + Arrays.toString(p),
                        () -> checkLinear(format, p[0], p[1], p[2], p[1] % 2 == 1))));
  }

  private void checkLinear(WeightFormat format, int in, int out, int n, boolean withBias) {
    OpCase c = OpCase.normal(n, in);
    WeightRef weight = c.weights.normal("w.weight", format, 0.3, out, in);
    WeightRef bias = c.weights.normal("w.bias", WeightFormat.BF16, 2, out);
    Value y = withBias ? c.g.linear(c.x, weight, bias) : c.g.linear(c.x, weight);
    Formulas.Sums want =
        Formulas.linear(
            c.in, c.weights.values(weight), in, withBias ? c.weights.values(bias) : new double[0]);
    Near.elementwise(
        "linear", c.run(provider(), y), want.value(), want.magnitude(), tolerance(2e-6));
  }

  /** A backend may compute neighbours together, in whatever mix of formats. */
  @TestFactory
  Stream<DynamicTest> linearsOfOneInputGiveWhatEachGivesAlone() {
    return weightFormats().stream()
        .flatMap(format ->
            Stream.of(1, 6)
                .map(n ->
                    dynamicTest(format + " tokens=" + n, () -> checkLinearsOfOneInput(format, n))));
  }

  private void checkLinearsOfOneInput(WeightFormat format, int n) {
    int all = Arrays.stream(NEIGHBOURS).sum();
    OpCase joined = OpCase.normal(n, 207);
    WeightRef[] weights = neighbours(joined, format);
    Value[] parts = new Value[weights.length];
    Arrays.setAll(parts, i -> joined.g.linear(joined.x, weights[i]));
    float[] got = joined.run(provider(), joined.g.concat(parts));
    int at = 0;
    for (int i = 0; i < parts.length; i++) {
      OpCase alone = OpCase.normal(n, 207);
      WeightRef weight = neighbours(alone, format)[i];
      float[] want = alone.run(provider(), alone.g.linear(alone.x, weight));
      for (int t = 0; t < n; t++) {
        int width = NEIGHBOURS[i];
        assertThat(Arrays.copyOfRange(got, t * all + at, t * all + at + width))
            .as("matrix %d, token %d", i, t)
            .isEqualTo(Arrays.copyOfRange(want, t * width, (t + 1) * width));
      }
      at += NEIGHBOURS[i];
    }
  }

  /** Two of a format, one of another, and two more. */
  private static WeightRef[] neighbours(OpCase c, WeightFormat format) {
    WeightRef[] weights = new WeightRef[NEIGHBOURS.length];
    for (int i = 0; i < weights.length; i++) {
      WeightFormat own = i == 2 ? WeightFormat.F32 : format;
      weights[i] = c.weights.normal("w" + i + ".weight", own, 0.3, NEIGHBOURS[i], 207);
    }
    return weights;
  }

  @TestFactory
  Stream<DynamicTest> blocksOfFp8MayBeSmallerThan128() {
    return Stream.of(32, 64)
        .filter(block -> weightFormats().contains(WeightFormat.FP8_E4M3))
        .map(block ->
            dynamicTest(
                "block=" + block,
                () -> {
                  OpCase c = OpCase.normal(2, 207);
                  WeightRef weight = c.weights.blockFp8("w.weight", 75, 207, block, 0.3);
                  float[] got = c.run(provider(), c.g.linear(c.x, weight));
                  double[] w = c.weights.values(weight);
                  Formulas.Sums want = Formulas.linear(c.in, w, 207, new double[0]);
                  Near.elementwise("linear", got, want.value(), want.magnitude(), tolerance(2e-6));
                }));
  }

  @Test
  void aLinearOverHeadsTakesEachHeadAsOneVector() {
    OpCase c = OpCase.normal(3, 4 * 13);
    WeightRef weight = c.weights.normal("w.weight", WeightFormat.BF16, 0.3, 6, 13);
    float[] got = c.run(provider(), c.g.linear(c.g.reshape(c.x, 4, 13), weight));
    Formulas.Sums want = Formulas.linear(c.in, c.weights.values(weight), 13, new double[0]);
    Near.elementwise("linear", got, want.value(), want.magnitude(), tolerance(2e-6));
  }

  @Test
  void aLinearOfZeroSubnormalAndLargeInputsKeepsItsPrecision() {
    float[] table = OpCase.normal(4 * 25, 1, 3);
    Arrays.fill(table, 0, 25, -0f);
    for (int i = 25; i < 50; i++) {
      table[i] *= 1e-39f;
    }
    for (int i = 50; i < 75; i++) {
      table[i] *= 1e30f;
    }
    OpCase c = new OpCase(table, 25);
    WeightRef weight = c.weights.normal("w.weight", WeightFormat.F32, 1, 13, 25);
    float[] got = c.run(provider(), c.g.linear(c.x, weight));
    Formulas.Sums want = Formulas.linear(c.in, c.weights.values(weight), 25, new double[0]);
    Near.elementwise("linear", got, want.value(), want.magnitude(), tolerance(2e-6));
  }

  @Test
  void aNanStaysInTheVectorThatHasIt() {
    float[] table = OpCase.normal(4 * 25, 1, 3);
    table[2 * 25 + 7] = Float.NaN;
    OpCase c = new OpCase(table, 25);
    WeightRef norm = c.weights.normal("norm", WeightFormat.F32, 1, 25);
    WeightRef weight = c.weights.normal("w.weight", WeightFormat.BF16, 1, 13, 25);
    Value y = c.g.linear(c.g.rmsNorm(c.x, norm, 1e-6), weight);
    double[] normed = Formulas.rmsNorm(c.in, c.weights.values(norm), 1e-6);
    Formulas.Sums want = Formulas.linear(normed, c.weights.values(weight), 25, new double[0]);
    double[] magnitude = want.magnitude();
    Near.elementwise("nan", c.run(provider(), y), want.value(), magnitude, tolerance(5e-6));
  }

  @Test
  void slicesAndReshapesMoveNoBit() {
    OpCase c = OpCase.normal(4, 30);
    Value heads = c.g.reshape(c.x, 5, 6);
    Value part = c.g.slice(heads, 1, 5);
    Value flat = c.g.reshape(part, 20);
    Value end = c.g.slice(flat, 7, 20);
    double[] want = Formulas.slice(Formulas.slice(c.in, 6, 1, 5), 20, 7, 20);
    assertThat(c.run(provider(), end)).isEqualTo(narrow(want));
  }

  @Test
  void aSliceOfTheFirstAndOfAllElementsIsACopy() {
    OpCase c = OpCase.normal(3, 7);
    Value first = c.g.slice(c.x, 0, 1);
    Value all = c.g.slice(c.x, 0, 7);
    c.g.output("all", all);
    assertThat(c.run(provider(), first)).isEqualTo(narrow(Formulas.slice(c.in, 7, 0, 1)));
  }

  @Test
  void ropeGivesTheVectorsT2OfTheSpecification() {
    double[] interleaved = {
      -0.96137, -0.7814492, 0.3584675, -0.6812972, -0.9501116, -0.3080532, 0.6540156, 0.9913248
    };
    double[] halfSplit = {
      -0.6977266, 0.9512579, 0.1213499, -0.7597672, 1.068076, 0.001779942, 0.6609239, 0.9870834
    };
    Near.relative("B", t2(RopeLayout.INTERLEAVED), interleaved, tolerance(1e-5));
    Near.relative("A", t2(RopeLayout.HALF_SPLIT), halfSplit, tolerance(1e-5));
  }

  private float[] t2(RopeLayout layout) {
    OpCase c = new OpCase(OpCase.sine(8, 1, 0), 8).at(3);
    return c.run(provider(), c.g.rope(c.x, new RopeSpec(T2_FREQUENCIES, 1, layout), 0));
  }

  @TestFactory
  Stream<DynamicTest> ropeTurnsItsPartOfEachHeadByThePositionAndLeavesTheRest() {
    return Stream.of(RopeLayout.values())
        .flatMap(layout ->
            IntStream.of(0, 5, 163_839, 1_000_003)
                .mapToObj(position ->
                    dynamicTest(layout + " at " + position, () -> checkRope(layout, position))));
  }

  private void checkRope(RopeLayout layout, int position) {
    float[] frequencies = new float[6];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = (float) Math.pow(10_000, -2.0 * i / 12);
    }
    OpCase c = OpCase.normal(4, 3 * 19).at(position);
    RopeSpec rope = new RopeSpec(frequencies, 1.25f, layout);
    float[] got = c.run(provider(), c.g.rope(c.g.reshape(c.x, 3, 19), rope, 5));
    double[] want = c.in.clone();
    double[] magnitude = new double[want.length];
    for (int i = 0; i < want.length; i += 19) {
      Formulas.rope(want, i + 5, frequencies, 1.25f, layout, position + i / (3 * 19));
      Arrays.fill(magnitude, i, i + 5, 0);
      Arrays.fill(magnitude, i + 5, i + 17, 3);
      Arrays.fill(magnitude, i + 17, i + 19, 0);
    }
    Near.elementwise("rope", got, want, magnitude, tolerance(1e-6));
  }

  @Test
  void ropeForthAndBackGivesTheVectorAgain() {
    OpCase c = OpCase.normal(5, 8).at(11);
    float[] back = {-1f, -0.1f, -0.01f, -0.001f};
    Value turned = c.g.rope(c.x, new RopeSpec(T2_FREQUENCIES, 1, RopeLayout.INTERLEAVED), 0);
    Value again = c.g.rope(turned, new RopeSpec(back, 1, RopeLayout.INTERLEAVED), 0);
    Near.ofLargest("x", c.run(provider(), again), c.in, tolerance(1e-6));
  }

  @TestFactory
  Stream<DynamicTest> swiGluAgreesWithItsFormulaAtEverySize() {
    return IntStream.of(SIZES)
        .mapToObj(size ->
            dynamicTest(
                "M=" + size,
                () -> {
                  OpCase c = new OpCase(OpCase.normal(2 * 2 * size, 4, size), 2 * size);
                  Value gate = c.g.slice(c.x, 0, size);
                  Value up = c.g.slice(c.x, size, 2 * size);
                  float[] got = c.run(provider(), c.g.swiGlu(gate, up));
                  Near.relative("swiGlu", got, swiGlu(c, size), tolerance(4e-6));
                }));
  }

  private static double[] swiGlu(OpCase c, int size) {
    double[] gate = Formulas.slice(c.in, 2 * size, 0, size);
    double[] up = Formulas.slice(c.in, 2 * size, size, 2 * size);
    double[] want = new double[gate.length];
    Arrays.setAll(want, i -> Formulas.swiGlu(gate[i], up[i]));
    return want;
  }

  @Test
  void swiGluSaturatesWithoutOverflowAndHandsNanOn() {
    float[] gate = {-1e30f, -200f, -88f, -20f, -1e-30f, -0f, 0f, 1e-30f, 20f, 200f, 1e30f};
    float[] table = new float[2 * (gate.length + 2)];
    System.arraycopy(gate, 0, table, 0, gate.length);
    table[gate.length] = Float.NaN;
    table[gate.length + 1] = 2;
    Arrays.fill(table, gate.length + 2, table.length, 1.5f);
    table[table.length - 1] = Float.NaN;
    OpCase c = new OpCase(table, table.length);
    int size = table.length / 2;
    Value y = c.g.swiGlu(c.g.slice(c.x, 0, size), c.g.slice(c.x, size, 2 * size));
    double[] want = swiGlu(c, size);
    want[0] = 0;
    Near.relative("swiGlu", c.run(provider(), y), want, tolerance(4e-6));
  }

  @Test
  void addIsTheFloat32SumBitByBit() {
    float[] a = {0f, -0f, -0f, 1f, 1e30f, Float.MIN_VALUE, 16777216f, Float.NaN, 3f};
    float[] b = {-0f, -0f, 0f, -1f, 1e30f, Float.MIN_VALUE, 1f, 1f, Float.NaN};
    float[] table = Arrays.copyOf(a, 18);
    System.arraycopy(b, 0, table, 9, 9);
    OpCase c = new OpCase(table, 18);
    float[] want = new float[9];
    for (int i = 0; i < want.length; i++) {
      want[i] = a[i] + b[i];
    }
    Value y = c.g.add(c.g.slice(c.x, 0, 9), c.g.slice(c.x, 9, 18));
    assertThat(c.run(provider(), y)).isEqualTo(want);
  }

  @Test
  void aValueMayBeAddedToItself() {
    OpCase c = OpCase.normal(3, 13);
    double[] want = Arrays.stream(c.in).map(v -> 2 * v).toArray();
    assertThat(c.run(provider(), c.g.add(c.x, c.x))).isEqualTo(narrow(want));
  }

  @TestFactory
  Stream<DynamicTest> aFeedForwardBlockWithItsResidualAgreesWithItsFormula() {
    return weightFormats().stream()
        .flatMap(format ->
            IntStream.of(1, 3, 13)
                .mapToObj(n ->
                    dynamicTest(format + " T=" + n, () -> checkFeedForward(format, n, 25, 207))));
  }

  /** The pattern that backends fuse: norm into gate and up, activation, down, residual add. */
  private void checkFeedForward(WeightFormat format, int n, int hidden, int inner) {
    OpCase c = OpCase.normal(n, hidden);
    WeightRef norm = c.weights.normal("norm", WeightFormat.F32, 1, hidden);
    WeightRef gate = c.weights.normal("gate.weight", format, 0.2, inner, hidden);
    WeightRef up = c.weights.normal("up.weight", format, 0.2, inner, hidden);
    WeightRef down = c.weights.normal("down.weight", format, 0.1, hidden, inner);
    Value h = c.g.rmsNorm(c.x, norm, 1e-6);
    Value mixed = c.g.swiGlu(c.g.linear(h, gate), c.g.linear(h, up));
    Value y = c.g.add(c.x, c.g.linear(mixed, down));
    float[] got = c.run(provider(), y);
    double[] want = c.in.clone();
    double[] normed = Formulas.rmsNorm(c.in, c.weights.values(norm), 1e-6);
    for (int t = 0; t < n; t++) {
      double[] x = Arrays.copyOfRange(normed, t * hidden, (t + 1) * hidden);
      double[] f =
          Formulas.expert(x, c.weights.values(gate), c.weights.values(up), c.weights.values(down));
      for (int i = 0; i < hidden; i++) {
        want[t * hidden + i] += f[i];
      }
    }
    Near.ofLargest("block", got, want, tolerance(5e-6));
  }

  static float[] narrow(double[] values) {
    float[] out = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      out[i] = (float) values[i];
    }
    return out;
  }
}
