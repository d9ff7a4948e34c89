package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * Scores of up to {@link #HEADS} heads that share their keys, and their softmax, with a head in
 * each lane: nothing is summed across lanes, and a key is read once for all heads.
 *
 * <p>Scores are [position, {@link #HEADS}]; a score is a sum over the elements of a key in rising
 * order, whatever the other heads and positions are. Lanes without a head hold numbers that nobody
 * reads.
 */
public final class HeadLanes {

  /** Lanes, of one or several vectors. */
  public static final int HEADS = 16;

  /** Positions that share the queries of a register; sums that the registers of AVX-512 hold. */
  private static final int POSITIONS = 16;

  private HeadLanes() {}

  /**
   * Turns queries so that out[off + c * HEADS + i] is element c of query i, and 0 from query n on.
   *
   * @param queries n queries of width elements, one after the other from queries[q] on
   */
  public static void turn(float[] queries, int q, int n, int width, float[] out, int off) {
    if (n < HEADS) {
      Arrays.fill(out, off, off + width * HEADS, 0f);
    }
    for (int i = 0; i < n; i += 4) {
      if (i + 4 <= n) {
        turnFour(queries, q + i * width, width, out, off + i);
      } else {
        for (int k = i; k < n; k++) {
          turnOne(queries, q + k * width, width, out, off + k);
        }
      }
    }
  }

  private static void turnFour(float[] queries, int q, int width, float[] out, int off) {
    for (int c = 0; c < width; c++) {
      int at = off + c * HEADS;
      out[at] = queries[q + c];
      out[at + 1] = queries[q + c + width];
      out[at + 2] = queries[q + c + 2 * width];
      out[at + 3] = queries[q + c + 3 * width];
    }
  }

  private static void turnOne(float[] queries, int q, int width, float[] out, int off) {
    for (int c = 0; c < width; c++) {
      out[off + c * HEADS] = queries[q + c];
    }
  }

  /** Returns the elements that the scores of so many positions take. */
  public static int scoresLen(int positions) {
    return Math.ceilDiv(positions, POSITIONS) * POSITIONS * HEADS;
  }

  /**
   * Computes scores[p * HEADS + i] = key p * query i for p in [0, m).
   *
   * @param keys [m, width]
   * @param turned queries as {@link #turn} leaves them, from turned[t] on
   * @param scores {@link #scoresLen} elements; those behind position m are destroyed
   */
  public static void scores(float[] keys, int m, int width, float[] turned, int t, float[] scores) {
    if (ScalarStart.isOn()) {
      scalar(keys, m, width, turned, t, scores);
    } else if (L == HEADS) {
      for (int p = 0; p < m; p += POSITIONS) {
        sixteen(keys, p, m - 1, width, turned, t, scores);
      }
    } else {
      for (int p = 0; p < m; p += 4) {
        for (int j = 0; j < HEADS; j += 2 * L) {
          fourByTwo(keys, p, m - 1, width, turned, t + j, scores, p * HEADS + j);
        }
      }
    }
  }

  private static void scalar(
      float[] keys, int m, int width, float[] turned, int t, float[] scores) {
    for (int p = 0; p < m; p++) {
      int key = p * width;
      for (int i = 0; i < HEADS; i += 4) {
        float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        for (int c = 0, at = t + i; c < width; c++, at += HEADS) {
          float k = keys[key + c];
          s0 = Math.fma(turned[at], k, s0);
          s1 = Math.fma(turned[at + 1], k, s1);
          s2 = Math.fma(turned[at + 2], k, s2);
          s3 = Math.fma(turned[at + 3], k, s3);
        }
        int out = p * HEADS + i;
        scores[out] = s0;
        scores[out + 1] = s1;
        scores[out + 2] = s2;
        scores[out + 3] = s3;
      }
    }
  }

  // What positions behind the last one lack is the last one's key.
  private static void fourByTwo(
      float[] keys, int p, int last, int width, float[] turned, int t, float[] scores, int out) {
    int k0 = p * width;
    int k1 = Math.min(p + 1, last) * width;
    int k2 = Math.min(p + 2, last) * width;
    int k3 = Math.min(p + 3, last) * width;
    FloatVector a0 = FloatVector.zero(F), a1 = a0, b0 = a0, b1 = a0;
    FloatVector c0 = a0, c1 = a0, d0 = a0, d1 = a0;
    for (int c = 0, at = t; c < width; c++, at += HEADS) {
      FloatVector q0 = FloatVector.fromArray(F, turned, at);
      FloatVector q1 = FloatVector.fromArray(F, turned, at + L);
      FloatVector k = FloatVector.broadcast(F, keys[k0 + c]);
      a0 = q0.fma(k, a0);
      a1 = q1.fma(k, a1);
      k = FloatVector.broadcast(F, keys[k1 + c]);
      b0 = q0.fma(k, b0);
      b1 = q1.fma(k, b1);
      k = FloatVector.broadcast(F, keys[k2 + c]);
      c0 = q0.fma(k, c0);
      c1 = q1.fma(k, c1);
      k = FloatVector.broadcast(F, keys[k3 + c]);
      d0 = q0.fma(k, d0);
      d1 = q1.fma(k, d1);
    }
    a0.intoArray(scores, out);
    a1.intoArray(scores, out + L);
    b0.intoArray(scores, out + HEADS);
    b1.intoArray(scores, out + HEADS + L);
    c0.intoArray(scores, out + 2 * HEADS);
    c1.intoArray(scores, out + 2 * HEADS + L);
    d0.intoArray(scores, out + 3 * HEADS);
    d1.intoArray(scores, out + 3 * HEADS + L);
  }

  private static void sixteen(
      float[] keys, int p, int last, int width, float[] turned, int t, float[] scores) {
    int k0 = p * width;
    int k1 = Math.min(p + 1, last) * width;
    int k2 = Math.min(p + 2, last) * width;
    int k3 = Math.min(p + 3, last) * width;
    int k4 = Math.min(p + 4, last) * width;
    int k5 = Math.min(p + 5, last) * width;
    int k6 = Math.min(p + 6, last) * width;
    int k7 = Math.min(p + 7, last) * width;
    int k8 = Math.min(p + 8, last) * width;
    int k9 = Math.min(p + 9, last) * width;
    int k10 = Math.min(p + 10, last) * width;
    int k11 = Math.min(p + 11, last) * width;
    int k12 = Math.min(p + 12, last) * width;
    int k13 = Math.min(p + 13, last) * width;
    int k14 = Math.min(p + 14, last) * width;
    int k15 = Math.min(p + 15, last) * width;
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    FloatVector s4 = s0, s5 = s0, s6 = s0, s7 = s0;
    FloatVector s8 = s0, s9 = s0, s10 = s0, s11 = s0;
    FloatVector s12 = s0, s13 = s0, s14 = s0, s15 = s0;
    for (int c = 0, at = t; c < width; c++, at += HEADS) {
      FloatVector q = FloatVector.fromArray(F, turned, at);
      s0 = q.fma(FloatVector.broadcast(F, keys[k0 + c]), s0);
      s1 = q.fma(FloatVector.broadcast(F, keys[k1 + c]), s1);
      s2 = q.fma(FloatVector.broadcast(F, keys[k2 + c]), s2);
      s3 = q.fma(FloatVector.broadcast(F, keys[k3 + c]), s3);
      s4 = q.fma(FloatVector.broadcast(F, keys[k4 + c]), s4);
      s5 = q.fma(FloatVector.broadcast(F, keys[k5 + c]), s5);
      s6 = q.fma(FloatVector.broadcast(F, keys[k6 + c]), s6);
      s7 = q.fma(FloatVector.broadcast(F, keys[k7 + c]), s7);
      s8 = q.fma(FloatVector.broadcast(F, keys[k8 + c]), s8);
      s9 = q.fma(FloatVector.broadcast(F, keys[k9 + c]), s9);
      s10 = q.fma(FloatVector.broadcast(F, keys[k10 + c]), s10);
      s11 = q.fma(FloatVector.broadcast(F, keys[k11 + c]), s11);
      s12 = q.fma(FloatVector.broadcast(F, keys[k12 + c]), s12);
      s13 = q.fma(FloatVector.broadcast(F, keys[k13 + c]), s13);
      s14 = q.fma(FloatVector.broadcast(F, keys[k14 + c]), s14);
      s15 = q.fma(FloatVector.broadcast(F, keys[k15 + c]), s15);
    }
    int out = p * HEADS;
    s0.intoArray(scores, out);
    s1.intoArray(scores, out + 1 * L);
    s2.intoArray(scores, out + 2 * L);
    s3.intoArray(scores, out + 3 * L);
    s4.intoArray(scores, out + 4 * L);
    s5.intoArray(scores, out + 5 * L);
    s6.intoArray(scores, out + 6 * L);
    s7.intoArray(scores, out + 7 * L);
    s8.intoArray(scores, out + 8 * L);
    s9.intoArray(scores, out + 9 * L);
    s10.intoArray(scores, out + 10 * L);
    s11.intoArray(scores, out + 11 * L);
    s12.intoArray(scores, out + 12 * L);
    s13.intoArray(scores, out + 13 * L);
    s14.intoArray(scores, out + 14 * L);
    s15.intoArray(scores, out + 15 * L);
  }

  /**
   * Turns the scores of m positions into weights of a running softmax.
   *
   * @param scores as {@link #scores} leaves them; then exp(score - maximum)
   * @param max the largest score of each lane before and then after them
   * @param sum the sum of the weights of each lane, likewise
   * @param factors what earlier weights are to be multiplied by, exp(old - new maximum)
   */
  public static void weigh(float[] scores, int m, float[] max, float[] sum, float[] factors) {
    if (ScalarStart.isOn()) {
      weighScalar(scores, m, max, sum, factors);
      return;
    }
    for (int j = 0; j < HEADS; j += L) {
      FloatVector before = FloatVector.fromArray(F, max, j);
      FloatVector best = before;
      for (int p = 0; p < m; p++) {
        best = best.max(FloatVector.fromArray(F, scores, p * HEADS + j));
      }
      for (int p = 0; p < m; p++) {
        int at = p * HEADS + j;
        FloatVector.fromArray(F, scores, at).sub(best).intoArray(scores, at);
      }
      before.sub(best).intoArray(factors, j);
      best.intoArray(max, j);
    }
    Exp.run(scores, 0, 1f, 0f, scores, 0, m * HEADS);
    Exp.run(factors, 0, 1f, 0f, factors, 0, HEADS);
    for (int j = 0; j < HEADS; j += L) {
      FloatVector total =
          FloatVector.fromArray(F, sum, j).mul(FloatVector.fromArray(F, factors, j));
      for (int p = 0; p < m; p++) {
        total = total.add(FloatVector.fromArray(F, scores, p * HEADS + j));
      }
      total.intoArray(sum, j);
    }
  }

  private static void weighScalar(
      float[] scores, int m, float[] max, float[] sum, float[] factors) {
    for (int i = 0; i < HEADS; i++) {
      float best = max[i];
      for (int p = 0; p < m; p++) {
        best = Math.max(best, scores[p * HEADS + i]);
      }
      for (int p = 0; p < m; p++) {
        scores[p * HEADS + i] -= best;
      }
      factors[i] = max[i] - best;
      max[i] = best;
    }
    Exp.run(scores, 0, 1f, 0f, scores, 0, m * HEADS);
    Exp.run(factors, 0, 1f, 0f, factors, 0, HEADS);
    for (int i = 0; i < HEADS; i++) {
      float total = sum[i] * factors[i];
      for (int p = 0; p < m; p++) {
        total += scores[p * HEADS + i];
      }
      sum[i] = total;
    }
  }
}
