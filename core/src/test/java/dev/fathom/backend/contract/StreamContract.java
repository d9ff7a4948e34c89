package dev.fathom.backend.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.program.CompressedOp;
import dev.fathom.program.StreamOp;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** What DeepSeek-V4 does to single tokens: residual streams, clamps, norms, grouped products. */
abstract class StreamContract extends SelectionContract {

  private static final int[] WIDTHS = {1, 6, 25, 207};
  private static final double EPS = 1e-5;
  private static final double HC_EPS = 1e-3;

  @TestFactory
  Stream<DynamicTest> aClampedActivationAgreesWithItsFormulaOnBothSidesOfTheLimit() {
    return IntStream.of(1, 13, 702)
        .mapToObj(size -> dynamicTest("M=" + size, () -> checkClamp(size)));
  }

  private void checkClamp(int size) {
    float[] table = OpCase.normal(3 * 2 * size, 4, size);
    table[0] = Float.NaN;
    table[table.length - 1] = -1e30f;
    OpCase c = new OpCase(table, 2 * size);
    float[] got =
        c.run(
            provider(), c.g.swiGlu(c.g.slice(c.x, 0, size), c.g.slice(c.x, size, 2 * size), 1.5f));
    double[] gate = Formulas.slice(c.in, 2 * size, 0, size);
    double[] up = Formulas.slice(c.in, 2 * size, size, 2 * size);
    double[] want = new double[gate.length];
    Arrays.setAll(
        want, i -> Formulas.swiGlu(Math.min(gate[i], 1.5), Math.max(-1.5, Math.min(1.5, up[i]))));
    Near.relative("swiGlu", got, want, tolerance(4e-6));
  }

  @TestFactory
  Stream<DynamicTest> aNormWithoutAWeightAgreesWithItsFormula() {
    assumeTrue(supports(CompressedOp.UnitNorm.class), "the backend does not have unitNorm");
    return IntStream.of(WIDTHS)
        .mapToObj(size ->
            dynamicTest(
                "D=" + size,
                () -> {
                  OpCase c = OpCase.normal(4, 3 * size);
                  Value heads = c.g.reshape(c.x, 3, size);
                  float[] got = c.run(provider(), c.g.compressed().unitNorm(heads, EPS));
                  double[] ones = new double[size];
                  Arrays.fill(ones, 1);
                  Near.relative("norm", got, Formulas.rmsNorm(c.in, ones, EPS), tolerance(3e-6));
                }));
  }

  @TestFactory
  Stream<DynamicTest> aGroupedLinearIsOneLinearForEachGroup() {
    assumeTrue(supports(CompressedOp.GroupedLinear.class), "the backend has no groupedLinear");
    return weightFormats().stream()
        .flatMap(format ->
            Stream.of(new int[] {1, 5, 13, 1}, new int[] {3, 7, 25, 5}, new int[] {4, 40, 207, 9})
                .map(s ->
                    dynamicTest(format + " " + Arrays.toString(s), () -> checkGroups(format, s))));
  }

  private void checkGroups(WeightFormat format, int[] sizes) {
    int groups = sizes[0];
    int out = sizes[1];
    int in = sizes[2];
    int n = sizes[3];
    OpCase c = OpCase.normal(n, groups * in);
    WeightRef weight = c.weights.normal("w.weight", format, 0.3, groups * out, in);
    Value grouped = c.g.reshape(c.x, groups, in);
    float[] got = c.run(provider(), c.g.compressed().groupedLinear(grouped, weight));
    double[] w = c.weights.values(weight);
    double[] want = new double[n * groups * out];
    double[] magnitude = new double[want.length];
    for (int g = 0; g < groups; g++) {
      double[] x = Formulas.slice(c.in, groups * in, g * in, (g + 1) * in);
      double[] part = Arrays.copyOfRange(w, g * out * in, (g + 1) * out * in);
      Formulas.Sums sums = Formulas.linear(x, part, in, new double[0]);
      for (int t = 0; t < n; t++) {
        int to = (t * groups + g) * out;
        System.arraycopy(sums.value(), t * out, want, to, out);
        System.arraycopy(sums.magnitude(), t * out, magnitude, to, out);
      }
    }
    Near.elementwise("groupedLinear", got, want, magnitude, tolerance(2e-6));
  }

  @TestFactory
  Stream<DynamicTest> aVectorIsCopiedIntoEveryStream() {
    assumeTrue(supports(StreamOp.Repeat.class), "the backend does not have repeat");
    return IntStream.of(WIDTHS)
        .mapToObj(width ->
            dynamicTest(
                "C=" + width,
                () -> {
                  OpCase c = OpCase.normal(5, width);
                  float[] got = c.run(provider(), c.g.streams().repeat(c.x, 4));
                  for (int i = 0; i < got.length; i++) {
                    int t = i / (4 * width);
                    assertThat(got[i]).isEqualTo((float) c.in[t * width + i % width]);
                  }
                }));
  }

  @TestFactory
  Stream<DynamicTest> streamsAreMixedReadAndWrittenAsTheFormulasSay() {
    assumeTrue(supports(StreamOp.Mixing.class), "the backend does not have mixing");
    return Stream.of(1, 2, 4)
        .flatMap(n ->
            IntStream.of(WIDTHS)
                .mapToObj(
                    width -> dynamicTest("N=" + n + " C=" + width, () -> checkStreams(n, width))));
  }

  /** A token's embedding is its streams and then the update. */
  private void checkStreams(int n, int width) {
    int tokens = 7;
    OpCase c = OpCase.normal(tokens, (n + 1) * width);
    int m = 2 * n + n * n;
    WeightRef function = c.weights.normal("fn", WeightFormat.F32, 0.3, m, n * width);
    WeightRef base = c.weights.normal("base", WeightFormat.F32, 0.5, m);
    WeightRef scale = c.weights.exact("scale", new float[] {0.7f, 1.3f, 2.1f}, 3);
    Value streams = c.g.reshape(c.g.slice(c.x, 0, n * width), n, width);
    Value update = c.g.slice(c.x, n * width, (n + 1) * width);
    Value mixing = c.g.streams().mixing(streams, function, base, scale, EPS, HC_EPS, 5);
    Value read = c.g.streams().collapse(streams, mixing);
    Value written = c.g.streams().expand(streams, c.g.add(update, read), mixing);
    float[] got = c.run(provider(), written);
    double[] want = new double[got.length];
    for (int t = 0; t < tokens; t++) {
      double[] x = c.in(t);
      double[] v = Arrays.copyOf(x, n * width);
      double[] weights = mixing(v, c.weights.values(function), c.weights.values(base), n);
      for (int i = 0; i < width; i++) {
        double y = x[n * width + i];
        for (int j = 0; j < n; j++) {
          y += weights[j] * v[j * width + i];
        }
        for (int k = 0; k < n; k++) {
          double sum = weights[n + k] * y;
          for (int j = 0; j < n; j++) {
            sum += weights[2 * n + j * n + k] * v[j * width + i];
          }
          want[(t * n + k) * width + i] = sum;
        }
      }
    }
    Near.ofLargest("streams", got, want, tolerance(1e-5));
  }

  private static double[] mixing(double[] v, double[] function, double[] base, int n) {
    double[] m = products(v, function);
    for (int j = 0; j < n; j++) {
      m[j] = sigmoid(m[j] * 0.7f + base[j]) + HC_EPS;
      m[n + j] = 2 * sigmoid(m[n + j] * 1.3f + base[n + j]);
    }
    double[][] mix = new double[n][];
    for (int j = 0; j < n; j++) {
      double[] row = new double[n];
      for (int k = 0; k < n; k++) {
        int at = 2 * n + j * n + k;
        row[k] = m[at] * 2.1f + base[at];
      }
      mix[j] = Arrays.stream(Formulas.softmax(row)).map(p -> p + HC_EPS).toArray();
    }
    for (int i = 0; i < 5; i++) {
      if (i > 0) {
        for (double[] row : mix) {
          double sum = Arrays.stream(row).sum() + HC_EPS;
          Arrays.setAll(row, k -> row[k] / sum);
        }
      }
      for (int k = 0; k < n; k++) {
        int column = k;
        double sum = Arrays.stream(mix).mapToDouble(row -> row[column]).sum() + HC_EPS;
        Arrays.stream(mix).forEach(row -> row[column] /= sum);
      }
    }
    for (int j = 0; j < n; j++) {
      System.arraycopy(mix[j], 0, m, 2 * n + j * n, n);
    }
    return m;
  }

  /** (function * v) / sqrt(mean(v^2) + eps). */
  private static double[] products(double[] v, double[] function) {
    double squares = Arrays.stream(v).map(x -> x * x).sum();
    double root = Math.sqrt(squares / v.length + EPS);
    double[] m = Formulas.linear(v, function, v.length);
    Arrays.setAll(m, i -> m[i] / root);
    return m;
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  @Test
  void theHeadReadsTheStreamsAsItsFormulaSays() {
    assumeTrue(supports(StreamOp.HeadMixing.class), "the backend does not have headMixing");
    int n = 4;
    int width = 25;
    OpCase c = OpCase.normal(6, n * width);
    WeightRef function = c.weights.normal("fn", WeightFormat.F32, 0.3, n, n * width);
    WeightRef base = c.weights.normal("base", WeightFormat.F32, 0.5, n);
    WeightRef scale = c.weights.exact("scale", new float[] {0.7f}, 1);
    Value streams = c.g.reshape(c.x, n, width);
    Value mixing = c.g.streams().headMixing(streams, function, base, scale, EPS, HC_EPS);
    float[] got = c.run(provider(), c.g.streams().collapse(streams, mixing));
    double[] want = new double[got.length];
    for (int t = 0; t < 6; t++) {
      double[] v = c.in(t);
      double[] m = products(v, c.weights.values(function));
      for (int j = 0; j < n; j++) {
        double weight = sigmoid(m[j] * 0.7f + c.weights.values(base)[j]) + HC_EPS;
        for (int i = 0; i < width; i++) {
          want[t * width + i] += weight * v[j * width + i];
        }
      }
    }
    Near.ofLargest("head", got, want, tolerance(1e-5));
  }
}
