package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * Softmax-weighted means of rows, channel by channel: each channel has scores of its own.
 *
 * <p>From x[at] on lie, one after the other, width sums of weighted values, width largest scores,
 * width sums of weights and width weights of the row that is added.
 */
public final class Pooling {

  private Pooling() {}

  /** Forgets all rows. */
  public static void begin(float[] x, int at, int width) {
    Arrays.fill(x, at, at + width, 0f);
    Arrays.fill(x, at + width, at + 2 * width, Float.NEGATIVE_INFINITY);
    Arrays.fill(x, at + 2 * width, at + 3 * width, 0f);
  }

  /** Takes the scores x[gate..] + bias[biasAt..] of a row into the largest ones. */
  public static void highest(float[] x, int gate, float[] bias, int biasAt, int at, int width) {
    int max = at + width;
    int i = 0;
    for (; i <= width - L; i += L) {
      FloatVector score = FloatVector.fromArray(F, x, gate + i);
      score = score.add(FloatVector.fromArray(F, bias, biasAt + i));
      score.max(FloatVector.fromArray(F, x, max + i)).intoArray(x, max + i);
    }
    for (; i < width; i++) {
      x[max + i] = Math.max(x[gate + i] + bias[biasAt + i], x[max + i]);
    }
  }

  /** Computes the weights exp(x[gate..] + bias[biasAt..] - largest) of a row. */
  public static void score(float[] x, int gate, float[] bias, int biasAt, int at, int width) {
    int max = at + width;
    int weights = at + 3 * width;
    int i = 0;
    for (; i <= width - L; i += L) {
      FloatVector score = FloatVector.fromArray(F, x, gate + i);
      score = score.add(FloatVector.fromArray(F, bias, biasAt + i));
      score.sub(FloatVector.fromArray(F, x, max + i)).intoArray(x, weights + i);
    }
    for (; i < width; i++) {
      x[weights + i] = x[gate + i] + bias[biasAt + i] - x[max + i];
    }
    Exp.run(x, weights, 1f, 0f, x, weights, width);
  }

  /** Adds the row's weights, and its values from x[value] on times them. */
  public static void add(float[] x, int value, int at, int width) {
    int sums = at + 2 * width;
    int weights = at + 3 * width;
    int i = 0;
    for (; i <= width - L; i += L) {
      FloatVector weight = FloatVector.fromArray(F, x, weights + i);
      FloatVector product = weight.mul(FloatVector.fromArray(F, x, value + i));
      FloatVector.fromArray(F, x, at + i).add(product).intoArray(x, at + i);
      FloatVector.fromArray(F, x, sums + i).add(weight).intoArray(x, sums + i);
    }
    for (; i < width; i++) {
      x[at + i] += x[weights + i] * x[value + i];
      x[sums + i] += x[weights + i];
    }
  }

  /** Divides the weighted values by the sums of weights. */
  public static void divide(float[] x, int at, int width) {
    int sums = at + 2 * width;
    int i = 0;
    for (; i <= width - L; i += L) {
      FloatVector values = FloatVector.fromArray(F, x, at + i);
      values.div(FloatVector.fromArray(F, x, sums + i)).intoArray(x, at + i);
    }
    for (; i < width; i++) {
      x[at + i] /= x[sums + i];
    }
  }
}
