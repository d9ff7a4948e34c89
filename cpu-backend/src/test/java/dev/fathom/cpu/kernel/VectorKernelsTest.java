package dev.fathom.cpu.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.quant.Bf16;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernels of single vectors against float64 over awkward sizes, and on extremes. */
class VectorKernelsTest {

  private final Random random = new Random(5);
  private final float[] lanes = new float[Lanes.scratchLen()];

  private float[] gaussian(int len) {
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  @Test
  void theExponentialIsWithinThreeUlpAndTheSameInLanesAndScalars() {
    int len = 2_000;
    float[] x = new float[len];
    for (int i = 0; i < len; i++) {
      x[i] = -87f + 175f * i / len;
    }
    float[] out = new float[len];
    Exp.run(x, 0, 1f, 0f, out, 0, len);
    for (int i = 0; i < len; i++) {
      float want = (float) Math.exp(x[i]);
      assertThat(out[i]).as("exp(%s)", x[i]).isCloseTo(want, within(3 * Math.ulp(want)));
      assertThat(Exp.of(x[i])).isEqualTo(out[i]);
    }
  }

  @Test
  void theExponentialSaturatesAndHandsNanOn() {
    float[] x = {
      Float.NEGATIVE_INFINITY, -1e30f, -0f, 0f, 1e30f, Float.POSITIVE_INFINITY, Float.NaN
    };
    float[] want = {0, 0, 1, 1, Float.POSITIVE_INFINITY, Float.POSITIVE_INFINITY, Float.NaN};
    for (int i = 0; i < x.length; i++) {
      assertThat(Exp.of(x[i])).as("exp(%s)", x[i]).isEqualTo(Float.valueOf(want[i]));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 6, 13, 25, 207, 702, 2046})
  void swiGluIsNearFloat64AndTheSameWhereverTheRangeBegins(int len) {
    float[] gate = gaussian(len);
    float[] up = gaussian(len);
    float[] whole = new float[len];
    SwiGlu.run(gate, up, Float.POSITIVE_INFINITY, whole, 0, len, lanes);
    float[] parts = new float[len];
    SwiGlu.run(gate, up, Float.POSITIVE_INFINITY, parts, 0, len / 3, lanes);
    SwiGlu.run(gate, up, Float.POSITIVE_INFINITY, parts, len / 3, len - len / 3, lanes);
    assertThat(parts).isEqualTo(whole);
    for (int i = 0; i < len; i++) {
      double want = gate[i] / (1 + Math.exp(-gate[i])) * up[i];
      assertThat((double) whole[i]).isCloseTo(want, within(1e-6 * Math.abs(want)));
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "7, 2", "128, 3", "141, 5", "512, 1", "512, 20", "530, 4"})
  void joinedStatesHaveTheBitsOfStatesAddedOneByOne(int len, int n) {
    int stride = 2 * len + 5;
    float[] states = gaussian(3 + n * stride);
    float[] want = Arrays.copyOfRange(states, 3, 3 + len);
    for (int at = 3 + stride; at < states.length; at += stride) {
      Sum.scale(states[at + len], want, 0, want, 0, len);
      Sum.addScaled(states[at + len + 1], states, at, want, 0, len);
    }
    Sum.scale(0.3f, want, 0, want, 0, len);
    float[] out = new float[len + 4];
    Sum.join(states, 3, stride, n, 0.3f, out, 2, len);
    assertThat(Arrays.copyOfRange(out, 2, 2 + len)).isEqualTo(want);
    assertThat(new float[] {out[0], out[1], out[len + 2], out[len + 3]}).containsOnly(0f);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 6, 13, 25, 207, 702, 2046})
  void rmsNormIsNearFloat64(int len) {
    float[] in = gaussian(len + 3);
    float[] weight = gaussian(len);
    float[] out = new float[len + 3];
    RmsNorm.run(in, 3, weight, 1e-6f, out);
    double squares = 0;
    for (int i = 0; i < len; i++) {
      squares += (double) in[3 + i] * in[3 + i];
    }
    for (int i = 0; i < len; i++) {
      double want = in[3 + i] / Math.sqrt(squares / len + 1e-6f) * weight[i];
      assertThat((double) out[3 + i]).isCloseTo(want, within(1e-6 * Math.abs(want)));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 6, 13, 25, 207, 702, 2046})
  void dotProductsOfManyVectorsHaveTheBitsOfOne(int len) {
    float[] rows = gaussian(3 * len);
    float[] x = gaussian(7 * len);
    float[] out = new float[7 * 5];
    Dot.all(rows, 3, len, x, 0, 7, out, 5, lanes);
    for (int i = 0; i < 7; i++) {
      for (int r = 0; r < 3; r++) {
        float one = Dot.of(rows, r * len, x, i * len, len, lanes);
        assertThat(out[i * 5 + r]).isEqualTo(one);
        double want = 0;
        for (int c = 0; c < len; c++) {
          want += (double) rows[r * len + c] * x[i * len + c];
        }
        assertThat((double) one).isCloseTo(want, within(1e-6 * len));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 6, 13, 25, 207, 702})
  void weightedSumsOfManyVectorsHaveTheBitsOfOne(int len) {
    int numRows = 9;
    int stride = len + 2;
    float[] rows = gaussian(numRows * stride);
    float[] weights = gaussian(6 * 11);
    float[] all = new float[6 * len];
    WeightedSum sum = new WeightedSum(11, stride, len, len);
    sum.add(weights, 0, rows, numRows, all, 0, 6);
    for (int i = 0; i < 6; i++) {
      float[] one = new float[len];
      float[] own = Arrays.copyOfRange(weights, i * 11, i * 11 + 11);
      sum.add(own, 0, rows, numRows, one, 0, 1);
      for (int j = 0; j < len; j++) {
        assertThat(all[i * len + j]).isEqualTo(one[j]);
        double want = 0;
        for (int s = 0; s < numRows; s++) {
          want += (double) own[s] * rows[s * stride + j];
        }
        assertThat((double) one[j]).isCloseTo(want, within(1e-5));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 13, 64, 207})
  void weightsThatLieApartGiveTheSameSums(int len) {
    int numRows = 9;
    float[] rows = gaussian(numRows * len);
    float[] weights = gaussian(6 * numRows);
    float[] turned = new float[numRows * 16];
    for (int i = 0; i < 6; i++) {
      for (int s = 0; s < numRows; s++) {
        turned[s * 16 + i] = weights[i * numRows + s];
      }
    }
    float[] want = new float[6 * len];
    new WeightedSum(numRows, len, len, len).add(weights, 0, rows, numRows, want, 0, 6);
    float[] got = new float[6 * len];
    new WeightedSum(1, 16, len, len, len).add(turned, 0, rows, numRows, got, 0, 6);
    assertThat(got).isEqualTo(want);
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "16, 16", "17, 5", "31, 7", "32, 16", "33, 12", "40, 4"})
  void scoresOfHeadsInLanes(int positions, int heads) {
    int width = 19;
    float[] queries = gaussian(heads * width + 2);
    float[] keys = gaussian(positions * width);
    float[] turned = gaussian(width * HeadLanes.HEADS + 3);
    HeadLanes.turn(queries, 2, heads, width, turned, 3);
    float[] scores = gaussian(HeadLanes.scoresLen(positions));
    HeadLanes.scores(keys, positions, width, turned, 3, scores);
    float[] max = new float[HeadLanes.HEADS];
    float[] sum = new float[HeadLanes.HEADS];
    Arrays.fill(max, 0.5f);
    Arrays.fill(sum, 2f);
    float[] raw = scores.clone();
    float[] factors = new float[HeadLanes.HEADS];
    HeadLanes.weigh(scores, positions, max, sum, factors);
    for (int i = 0; i < heads; i++) {
      double best = 0.5;
      for (int p = 0; p < positions; p++) {
        double want = 0;
        for (int c = 0; c < width; c++) {
          want += (double) queries[2 + i * width + c] * keys[p * width + c];
        }
        assertThat((double) raw[p * HeadLanes.HEADS + i]).isCloseTo(want, within(1e-5));
        best = Math.max(best, raw[p * HeadLanes.HEADS + i]);
      }
      double total = 2 * Math.exp(0.5 - best);
      for (int p = 0; p < positions; p++) {
        double want = Math.exp(raw[p * HeadLanes.HEADS + i] - best);
        assertThat((double) scores[p * HeadLanes.HEADS + i]).isCloseTo(want, within(1e-6));
        total += want;
      }
      assertThat((double) max[i]).isEqualTo(best);
      assertThat((double) factors[i]).isCloseTo(Math.exp(0.5 - best), within(1e-6));
      assertThat((double) sum[i]).isCloseTo(total, within(1e-5));
    }
    for (int i = heads; i < HeadLanes.HEADS; i++) {
      assertThat(turned[3 + i]).isZero();
    }
  }

  @Test
  void aScoreDoesNotDependOnTheOtherPositionsAndHeads() {
    int width = 64;
    float[] queries = gaussian(HeadLanes.HEADS * width);
    float[] keys = gaussian(32 * width);
    float[] all = new float[HeadLanes.scoresLen(32)];
    float[] turned = new float[HeadLanes.HEADS * width];
    HeadLanes.turn(queries, 0, HeadLanes.HEADS, width, turned, 0);
    HeadLanes.scores(keys, 32, width, turned, 0, all);
    for (int p = 0; p < 32; p++) {
      for (int i = 0; i < HeadLanes.HEADS; i++) {
        float[] key = Arrays.copyOfRange(keys, p * width, (p + 1) * width);
        float[] one = new float[HeadLanes.scoresLen(1)];
        HeadLanes.turn(queries, i * width, 1, width, turned, 0);
        HeadLanes.scores(key, 1, width, turned, 0, one);
        assertThat(one[0]).isEqualTo(all[p * HeadLanes.HEADS + i]);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 4, 6, 14, 26, 64, 208})
  void ropeTurnsPairsInBothLayouts(int dim) {
    float[] x = gaussian(dim + 1);
    float[] angle = gaussian(dim / 2);
    for (boolean interleaved : new boolean[] {true, false}) {
      float[] cos = new float[dim];
      float[] sin = new float[dim];
      float[] got = x.clone();
      for (int i = 0; i < dim / 2; i++) {
        int a = interleaved ? 2 * i : i;
        int b = interleaved ? 2 * i + 1 : i + dim / 2;
        cos[a] = cos[b] = (float) Math.cos(angle[i]);
        sin[b] = (float) Math.sin(angle[i]);
        sin[a] = -sin[b];
      }
      if (interleaved) {
        Rope.interleaved(got, 1, dim, cos, sin, 0);
      } else {
        Rope.halfSplit(got, 1, dim, cos, sin, 0);
      }
      for (int i = 0; i < dim / 2; i++) {
        int a = interleaved ? 2 * i : i;
        int b = interleaved ? 2 * i + 1 : i + dim / 2;
        assertThat(got[1 + a]).isEqualTo(x[1 + a] * cos[a] - x[1 + b] * sin[b]);
        assertThat(got[1 + b]).isEqualTo(x[1 + a] * sin[b] + x[1 + b] * cos[b]);
      }
      assertThat(got[0]).isEqualTo(x[0]);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 6, 13, 25, 207, 702})
  void bfloat16RowsAreWidenedExactly(int len) {
    MemorySegment source = Arena.ofAuto().allocate(2L * len + 2, 2);
    short[] codes = new short[len];
    for (int i = 0; i < len; i++) {
      codes[i] = (short) random.nextInt();
      source.set(ValueLayout.JAVA_SHORT, 2L * i + 2, codes[i]);
    }
    float[] out = new float[len];
    Bf16Decode.run(source, 2, out, 0, len);
    for (int i = 0; i < len; i++) {
      assertThat(Float.floatToRawIntBits(out[i]))
          .isEqualTo(Float.floatToRawIntBits(Bf16.decode(codes[i])));
    }
  }
}
