package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Dot;
import dev.fathom.cpu.kernel.Lanes;
import dev.fathom.cpu.kernel.Softmax;
import dev.fathom.cpu.kernel.Sum;
import dev.fathom.cpu.kernel.WeightedSum;
import java.util.Arrays;

/**
 * What one thread needs to take some heads of a token through the cache, {@link #CHUNK} positions
 * at a time, with a running maximum and sum (Milakov and Gimelshein, "Online normalizer calculation
 * for softmax").
 */
final class HeadScratch {

  /** Positions of a chunk. */
  static final int CHUNK = 32;

  /** Most heads that go through the cache together. */
  static final int HEADS = 16;

  /** Keys of a chunk [CHUNK, key width]. */
  final float[] keys;

  /** Values of a chunk [CHUNK, value width]. */
  final float[] values;

  /** Queries, already scaled: [HEADS, key width]. */
  final float[] queries;

  /** Weighted sums of values [HEADS, value width]; {@link #finish} divides them. */
  final float[] mixed;

  private final float[] scores = new float[HEADS * CHUNK];
  private final float[] max = new float[HEADS];
  private final float[] sum = new float[HEADS];
  private final float[] lanes = new float[Lanes.scratchLen()];
  private boolean started;

  HeadScratch(Sizes sizes) {
    keys = new float[CHUNK * sizes.keyWidth()];
    values = new float[CHUNK * sizes.valueWidth()];
    queries = new float[HEADS * sizes.keyWidth()];
    mixed = new float[HEADS * sizes.valueWidth()];
  }

  static long floats(Sizes sizes) {
    return (long) (CHUNK + HEADS) * (sizes.keyWidth() + sizes.valueWidth())
        + (long) HEADS * (CHUNK + 2);
  }

  /** Forgets all chunks. */
  void begin() {
    started = false;
  }

  /**
   * Adds a chunk of m positions for n heads.
   *
   * @param keyWidth elements of a key and a query
   * @param chunkValues rows whose first valueWidth elements are the values
   * @param valueStride elements from one row to the next
   * @param valueWidth elements of a value
   */
  void add(int n, int m, int keyWidth, float[] chunkValues, int valueStride, int valueWidth) {
    Dot.all(keys, m, keyWidth, queries, n, scores, CHUNK, lanes);
    if (!started) {
      Arrays.fill(mixed, 0, n * valueWidth, 0f);
    }
    for (int i = 0; i < n; i++) {
      weigh(i, m, valueWidth);
    }
    started = true;
    WeightedSum.add(scores, CHUNK, chunkValues, m, valueStride, mixed, valueWidth, n);
  }

  /** Turns the m scores of head i into weights and rescales what earlier chunks gave. */
  private void weigh(int i, int m, int valueWidth) {
    float chunkMax = Softmax.max(scores, i * CHUNK, m);
    float best = started ? Math.max(max[i], chunkMax) : chunkMax;
    float chunkSum = Softmax.exponentials(scores, i * CHUNK, m, best);
    if (started) {
      float factor = Softmax.exp(max[i] - best);
      sum[i] = sum[i] * factor + chunkSum;
      Sum.scale(factor, mixed, i * valueWidth, mixed, i * valueWidth, valueWidth);
    } else {
      sum[i] = chunkSum;
    }
    max[i] = best;
  }

  /**
   * Writes the attention of head i to out[off, off + valueWidth), where a sink takes part in the
   * softmax and gives no value.
   */
  void finish(int i, float sink, int valueWidth, float[] out, int off) {
    float best = Math.max(max[i], sink);
    float factor = Softmax.exp(max[i] - best);
    float total = sum[i] * factor + Softmax.exp(sink - best);
    Sum.scale(factor / total, mixed, i * valueWidth, out, off, valueWidth);
  }

  /** Writes the attention of head i to out[off, off + valueWidth). */
  void finish(int i, int valueWidth, float[] out, int off) {
    Sum.scale(1f / sum[i], mixed, i * valueWidth, out, off, valueWidth);
  }
}
