package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Dot;
import dev.fathom.cpu.kernel.HeadLanes;
import dev.fathom.cpu.kernel.Lanes;
import dev.fathom.cpu.kernel.LatentRows;
import dev.fathom.cpu.kernel.Softmax;
import dev.fathom.cpu.kernel.Sum;
import dev.fathom.cpu.kernel.WeightedSum;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * What one thread needs to take some heads of some tokens through the cache, {@link #CHUNK}
 * positions at a time, with a running maximum and sum (Milakov and Gimelshein, "Online normalizer
 * calculation for softmax").
 *
 * <p>The state of a head of a token is a row: the weighted sum of values, the maximum of the scores
 * and the sum of the weights.
 */
final class HeadScratch {

  /** Positions of a chunk. */
  static final int CHUNK = 32;

  /** Most heads of a token that go through the cache together. */
  static final int HEADS = HeadLanes.HEADS;

  /**
   * Places for rows and turned queries: that many tokens go through the cache together with {@link
   * #HEADS} heads each, or one token with as many times those.
   */
  static final int PLACES = 4;

  /** Elements of a row behind the values. */
  private static final int MAX_AND_SUM = 2;

  /** Keys of a chunk [CHUNK, key width]. */
  final float[] keys;

  /** Values of a chunk [CHUNK, value width]. */
  final float[] values;

  /** Queries, already scaled: [PLACES, HEADS, key width], or as {@link #turn} leaves them. */
  final float[] queries;

  private final float[] state;
  private final float[] total;
  private final float[] scores = new float[HeadLanes.scoresLen(CHUNK)];
  private final float[] max = new float[HEADS];
  private final float[] sum = new float[HEADS];
  private final float[] factors = new float[HEADS];
  private final float[] lanes = new float[Lanes.scratchLen()];

  HeadScratch(Sizes sizes) {
    keys = new float[CHUNK * sizes.keyWidth()];
    values = new float[CHUNK * sizes.valueWidth()];
    queries = new float[PLACES * HEADS * sizes.keyWidth()];
    state = new float[PLACES * HEADS * row(sizes.valueWidth())];
    total = new float[state.length];
  }

  static long floats(Sizes sizes) {
    return (long) (CHUNK + PLACES * HEADS) * sizes.keyWidth()
        + (long) CHUNK * sizes.valueWidth()
        + 2L * PLACES * HEADS * row(sizes.valueWidth())
        + (long) HEADS * (CHUNK + 3);
  }

  /** Returns the elements of a row for values of so many elements. */
  static int row(int valueWidth) {
    return valueWidth + MAX_AND_SUM;
  }

  /** Returns the sums of values of so many elements, stride elements from one to the next. */
  static WeightedSum sums(int valueWidth, int stride) {
    return new WeightedSum(CHUNK, stride, row(valueWidth), valueWidth);
  }

  /** Returns such sums for weights that {@link #addLanes} leaves. */
  static WeightedSum sumsOfLanes(int valueWidth, int stride) {
    return new WeightedSum(1, HEADS, stride, row(valueWidth), valueWidth);
  }

  /** Forgets what rows [first, first + n) saw. */
  void begin(int first, int n, int valueWidth) {
    begin(state, first * row(valueWidth), n, valueWidth);
  }

  /** Makes n rows from rows[at] on the state of heads that saw nothing. */
  static void begin(float[] rows, int at, int n, int valueWidth) {
    int row = row(valueWidth);
    Arrays.fill(rows, at, at + n * row, 0f);
    for (int i = 0; i < n; i++) {
      rows[at + i * row + valueWidth] = Float.NEGATIVE_INFINITY;
    }
  }

  /** Returns rows for all places, {@link #HEADS} for each. */
  float[] state() {
    return state;
  }

  /**
   * Adds the first m positions of the chunk to rows [first, first + n).
   *
   * @param q where the n queries begin in {@link #queries}
   * @param chunkValues rows whose first elements are the values
   * @param sums of {@link #sums}
   */
  void add(int q, int first, int n, int m, int keyWidth, float[] chunkValues, WeightedSum sums) {
    int valueWidth = sums.len();
    Dot.all(keys, m, keyWidth, queries, q, n, scores, CHUNK, lanes);
    int row = row(valueWidth);
    for (int i = 0; i < n; i++) {
      weigh(i, m, (first + i) * row, valueWidth);
    }
    sums.add(scores, 0, chunkValues, m, state, first * row, n);
  }

  /**
   * Keeps the queries of up to {@link #HEADS} heads for {@link #addLanes}, in one of {@link
   * #PLACES} places.
   */
  void turn(int place, float[] query, int q, int n, int keyWidth) {
    HeadLanes.turn(query, q, n, keyWidth, queries, place * HEADS * keyWidth);
  }

  /**
   * Adds the first m positions of the chunk, whose values are the first elements of its keys, to n
   * rows from rows[at] on, with the queries of {@link #turn}.
   *
   * @param sums of {@link #sumsOfLanes}
   */
  void addLanes(int place, int n, int m, int keyWidth, WeightedSum sums, float[] rows, int at) {
    HeadLanes.scores(keys, m, keyWidth, queries, place * HEADS * keyWidth, scores);
    weighLanes(n, m, sums.len(), rows, at);
    sums.add(scores, 0, keys, m, rows, at, n);
  }

  /**
   * Adds {@link #CHUNK} positions that lie side by side in the cache to {@link #HEADS} rows, with
   * the bits of the other method.
   *
   * @param cache of which {@link LatentRows#fits} rows
   * @param position first byte of the first position
   */
  void addLanes(
      int place,
      MemorySegment cache,
      long position,
      int keyWidth,
      int valueWidth,
      float[] rows,
      int at) {
    LatentRows.scores(cache, position, CHUNK, queries, place * HEADS * keyWidth, scores);
    weighLanes(HEADS, CHUNK, valueWidth, rows, at);
    LatentRows.add(cache, position, CHUNK, scores, rows, at, row(valueWidth));
  }

  /** Turns the scores of m positions into weights and rescales n rows. */
  private void weighLanes(int n, int m, int valueWidth, float[] rows, int at) {
    int row = row(valueWidth);
    for (int i = 0; i < n; i++) {
      max[i] = rows[at + i * row + valueWidth];
      sum[i] = rows[at + i * row + valueWidth + 1];
    }
    HeadLanes.weigh(scores, m, max, sum, factors);
    for (int i = 0; i < n; i++) {
      int target = at + i * row;
      boolean sawOthers = rows[target + valueWidth] != Float.NEGATIVE_INFINITY;
      if (sawOthers && factors[i] != 1f) {
        Sum.scale(factors[i], rows, target, rows, target, valueWidth);
      }
      rows[target + valueWidth] = max[i];
      rows[target + valueWidth + 1] = sum[i];
    }
  }

  /** Turns the m scores of head i into weights and rescales what earlier chunks gave. */
  private void weigh(int i, int m, int at, int valueWidth) {
    int max = at + valueWidth;
    float chunkMax = Softmax.max(scores, i * CHUNK, m);
    float before = state[max];
    float best = Math.max(before, chunkMax);
    float chunkSum = Softmax.exponentials(scores, i * CHUNK, m, best);
    if (before == Float.NEGATIVE_INFINITY) {
      state[max + 1] = chunkSum;
    } else {
      float factor = Softmax.exp(before - best);
      state[max + 1] = state[max + 1] * factor + chunkSum;
      if (factor != 1f) {
        Sum.scale(factor, state, at, state, at, valueWidth);
      }
    }
    state[max] = best;
  }

  /** Makes rows [first, first + n), which saw the first positions, the totals. */
  void beginTotals(int first, int n, int valueWidth) {
    int row = row(valueWidth);
    System.arraycopy(state, first * row, total, first * row, n * row);
  }

  /** Adds rows [first, first + n), which saw the positions behind those of the totals, to them. */
  void addToTotals(int first, int n, int valueWidth) {
    int row = row(valueWidth);
    for (int at = first * row; at < (first + n) * row; at += row) {
      int max = at + valueWidth;
      float best = Math.max(total[max], state[max]);
      float factor = Softmax.exp(total[max] - best);
      float added = Softmax.exp(state[max] - best);
      Sum.scale(factor, total, at, total, at, valueWidth);
      Sum.addScaled(added, state, at, total, at, valueWidth);
      total[max] = best;
      total[max + 1] = total[max + 1] * factor + state[max + 1] * added;
    }
  }

  /**
   * Joins n states of a head, which saw positions behind each other, and writes the attention to
   * out[off, off + valueWidth), with the bits of the totals; destroys the states.
   *
   * @param rows the first state, from rows[at] on, and stride elements behind each the next one
   */
  static void join(float[] rows, int at, int stride, int n, int valueWidth, float[] out, int off) {
    int max = at + valueWidth;
    float best = rows[max];
    float sum = rows[max + 1];
    for (int i = 1; i < n; i++) {
      max += stride;
      float before = best;
      best = Math.max(before, rows[max]);
      float factor = Softmax.exp(before - best);
      float added = Softmax.exp(rows[max] - best);
      sum = sum * factor + rows[max + 1] * added;
      rows[max] = factor;
      rows[max + 1] = added;
    }
    Sum.join(rows, at, stride, n, 1f / sum, out, off, valueWidth);
  }

  /** Writes the attention of a total to out[off, off + valueWidth). */
  void finishTotal(int i, int valueWidth, float[] out, int off) {
    divide(total, i, valueWidth, out, off);
  }

  /**
   * Writes the attention of row i to out[off, off + valueWidth), where a sink takes part in the
   * softmax and gives no value.
   */
  void finish(int i, float sink, int valueWidth, float[] out, int off) {
    int at = i * row(valueWidth);
    float max = state[at + valueWidth];
    float best = Math.max(max, sink);
    float factor = Softmax.exp(max - best);
    float sum = state[at + valueWidth + 1] * factor + Softmax.exp(sink - best);
    Sum.scale(factor / sum, state, at, out, off, valueWidth);
  }

  /** Writes the attention of row i to out[off, off + valueWidth). */
  void finish(int i, int valueWidth, float[] out, int off) {
    divide(state, i, valueWidth, out, off);
  }

  private static void divide(float[] rows, int i, int valueWidth, float[] out, int off) {
    int at = i * row(valueWidth);
    Sum.scale(1f / rows[at + valueWidth + 1], rows, at, out, off, valueWidth);
  }
}
