package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * What {@link HeadLanes} and {@link WeightedSum} do with the rows of a chunk, with the same bits,
 * for all {@link HeadLanes#HEADS} heads and for float32 rows of the cache where they lie: a latent
 * of 512 elements, which is the value too, and a rotary key of 64, as in all of DeepSeek's models.
 *
 * <p>Rows need not be copied first. Their width is a constant, so that the places of sixteen rows
 * need no registers.
 */
public final class LatentRows {

  private static final int RANK = 512;
  private static final int WIDTH = 576;
  private static final int HEADS = HeadLanes.HEADS;

  /** Rows whose scores are summed together. */
  private static final int ROWS = 16;

  private static final long ROW = 4L * WIDTH;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE);

  private LatentRows() {}

  /** Returns whether rows of so many elements, of which the first are the value, may be read. */
  public static boolean fits(int width, int valueWidth) {
    return L == HEADS && width == WIDTH && valueWidth == RANK;
  }

  /**
   * Computes scores[p * HEADS + i] = row p * query i for p in [0, m).
   *
   * @param rows native memory, with row 0 at byte {@code at}
   * @param m rows, a multiple of 16
   * @param turned queries as {@link HeadLanes#turn} leaves them, from turned[t] on
   */
  public static void scores(
      MemorySegment rows, long at, int m, float[] turned, int t, float[] scores) {
    for (int p = 0; p < m; p += ROWS) {
      sixteen(rows, at + p * ROW, turned, t, scores, p * HEADS);
    }
  }

  private static void sixteen(
      MemorySegment rows, long at, float[] turned, int t, float[] scores, int out) {
    MemorySegment cache = NativeMemory.of(rows);
    FloatVector s0 = FloatVector.zero(F), s1 = s0, s2 = s0, s3 = s0;
    FloatVector s4 = s0, s5 = s0, s6 = s0, s7 = s0;
    FloatVector s8 = s0, s9 = s0, s10 = s0, s11 = s0;
    FloatVector s12 = s0, s13 = s0, s14 = s0, s15 = s0;
    for (int c = 0; c < WIDTH; c++) {
      // Half of the reads come first. A read calls a method that C2 inlines only while its graph
      // has
      // less than 18,000 nodes; so the last one ends at some 16,000, not at 18,000 (decision 0063).
      long k = at + 4L * c;
      float k8 = cache.get(FLOAT, k + 8 * ROW);
      float k9 = cache.get(FLOAT, k + 9 * ROW);
      float k10 = cache.get(FLOAT, k + 10 * ROW);
      float k11 = cache.get(FLOAT, k + 11 * ROW);
      float k12 = cache.get(FLOAT, k + 12 * ROW);
      float k13 = cache.get(FLOAT, k + 13 * ROW);
      float k14 = cache.get(FLOAT, k + 14 * ROW);
      float k15 = cache.get(FLOAT, k + 15 * ROW);
      FloatVector q = FloatVector.fromArray(F, turned, t + c * HEADS);
      s0 = q.fma(FloatVector.broadcast(F, cache.get(FLOAT, k)), s0);
      s1 = q.fma(FloatVector.broadcast(F, cache.get(FLOAT, k + ROW)), s1);
      s2 = q.fma(FloatVector.broadcast(F, cache.get(FLOAT, k + 2 * ROW)), s2);
      s3 = q.fma(FloatVector.broadcast(F, cache.get(FLOAT, k + 3 * ROW)), s3);
      s4 = q.fma(FloatVector.broadcast(F, cache.get(FLOAT, k + 4 * ROW)), s4);
      s5 = q.fma(FloatVector.broadcast(F, cache.get(FLOAT, k + 5 * ROW)), s5);
      s6 = q.fma(FloatVector.broadcast(F, cache.get(FLOAT, k + 6 * ROW)), s6);
      s7 = q.fma(FloatVector.broadcast(F, cache.get(FLOAT, k + 7 * ROW)), s7);
      s8 = q.fma(FloatVector.broadcast(F, k8), s8);
      s9 = q.fma(FloatVector.broadcast(F, k9), s9);
      s10 = q.fma(FloatVector.broadcast(F, k10), s10);
      s11 = q.fma(FloatVector.broadcast(F, k11), s11);
      s12 = q.fma(FloatVector.broadcast(F, k12), s12);
      s13 = q.fma(FloatVector.broadcast(F, k13), s13);
      s14 = q.fma(FloatVector.broadcast(F, k14), s14);
      s15 = q.fma(FloatVector.broadcast(F, k15), s15);
    }
    s0.intoArray(scores, out);
    s1.intoArray(scores, out + L);
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
   * Adds to each of {@link HeadLanes#HEADS} results the sum of the first 512 elements of rows [0,
   * m), times weights[p * HEADS + i] for result i.
   *
   * @param rows native memory, with row 0 at byte {@code at}
   * @param out results, from out[off] on, stride elements from one to the next
   */
  public static void add(
      MemorySegment rows, long at, int m, float[] weights, float[] out, int off, int stride) {
    // The weights pass by columns of the rows, which stay in the first cache.
    for (int j = 0; j < RANK; j += 4 * L) {
      for (int i = 0; i < HEADS; i += 4) {
        fourOfFour(rows, at + 4L * j, m, weights, i, out, off + i * stride + j, stride);
      }
    }
  }

  private static void fourOfFour(
      MemorySegment rows, long at, int m, float[] weights, int w, float[] out, int to, int stride) {
    FloatVector a0 = FloatVector.zero(F), a1 = a0, a2 = a0, a3 = a0;
    FloatVector b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    FloatVector c0 = a0, c1 = a0, c2 = a0, c3 = a0;
    FloatVector d0 = a0, d1 = a0, d2 = a0, d3 = a0;
    MemorySegment cache = NativeMemory.of(rows);
    long r = at;
    for (int p = 0, v = w; p < m; p++, r += ROW, v += HEADS) {
      FloatVector r0 = FloatVector.fromMemorySegment(F, cache, r, LITTLE);
      FloatVector r1 = FloatVector.fromMemorySegment(F, cache, r + 4L * L, LITTLE);
      FloatVector r2 = FloatVector.fromMemorySegment(F, cache, r + 8L * L, LITTLE);
      FloatVector r3 = FloatVector.fromMemorySegment(F, cache, r + 12L * L, LITTLE);
      FloatVector f = FloatVector.broadcast(F, weights[v]);
      a0 = r0.fma(f, a0);
      a1 = r1.fma(f, a1);
      a2 = r2.fma(f, a2);
      a3 = r3.fma(f, a3);
      f = FloatVector.broadcast(F, weights[v + 1]);
      b0 = r0.fma(f, b0);
      b1 = r1.fma(f, b1);
      b2 = r2.fma(f, b2);
      b3 = r3.fma(f, b3);
      f = FloatVector.broadcast(F, weights[v + 2]);
      c0 = r0.fma(f, c0);
      c1 = r1.fma(f, c1);
      c2 = r2.fma(f, c2);
      c3 = r3.fma(f, c3);
      f = FloatVector.broadcast(F, weights[v + 3]);
      d0 = r0.fma(f, d0);
      d1 = r1.fma(f, d1);
      d2 = r2.fma(f, d2);
      d3 = r3.fma(f, d3);
    }
    int o = to;
    FloatVector.fromArray(F, out, o).add(a0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(a1).intoArray(out, o + L);
    FloatVector.fromArray(F, out, o + 2 * L).add(a2).intoArray(out, o + 2 * L);
    FloatVector.fromArray(F, out, o + 3 * L).add(a3).intoArray(out, o + 3 * L);
    o += stride;
    FloatVector.fromArray(F, out, o).add(b0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(b1).intoArray(out, o + L);
    FloatVector.fromArray(F, out, o + 2 * L).add(b2).intoArray(out, o + 2 * L);
    FloatVector.fromArray(F, out, o + 3 * L).add(b3).intoArray(out, o + 3 * L);
    o += stride;
    FloatVector.fromArray(F, out, o).add(c0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(c1).intoArray(out, o + L);
    FloatVector.fromArray(F, out, o + 2 * L).add(c2).intoArray(out, o + 2 * L);
    FloatVector.fromArray(F, out, o + 3 * L).add(c3).intoArray(out, o + 3 * L);
    o += stride;
    FloatVector.fromArray(F, out, o).add(d0).intoArray(out, o);
    FloatVector.fromArray(F, out, o + L).add(d1).intoArray(out, o + L);
    FloatVector.fromArray(F, out, o + 2 * L).add(d2).intoArray(out, o + 2 * L);
    FloatVector.fromArray(F, out, o + 3 * L).add(d3).intoArray(out, o + 3 * L);
  }
}
