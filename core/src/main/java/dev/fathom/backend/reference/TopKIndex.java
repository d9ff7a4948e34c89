package dev.fathom.backend.reference;

import dev.fathom.backend.StepBatch;
import dev.fathom.program.Op;
import java.util.Arrays;

/** The lightning indexer: scores all earlier positions of a sequence and keeps the best. */
final class TopKIndex {

  private TopKIndex() {}

  /** Computes all tokens of a step: out is [T, k]. */
  static void run(
      Op.TopKIndex op,
      StepBatch batch,
      PagedKv kv,
      float[] query,
      float[] headWeights,
      int[] out,
      Scratch scratch) {
    int k = op.result().shape().last();
    for (int s = 0; s < batch.numSequences(); s++) {
      int end = batch.firstToken(s + 1);
      int ratio = op.cache().tokensPerSlot();
      kv.gather(batch, s, op.cache(), (batch.position(end - 1) + 1) / ratio, scratch.cache);
      for (int t = batch.firstToken(s); t < end; t++) {
        int len = (batch.position(t) + 1) / ratio;
        score(op, query, headWeights, t, len, scratch);
        keepBest(scratch.scores, len, out, t * k, k);
      }
    }
  }

  private static void score(
      Op.TopKIndex op, float[] query, float[] headWeights, int t, int len, Scratch scratch) {
    int dim = op.cache().elementsPerToken();
    int heads = op.query().shape().dims().getFirst();
    for (int s = 0; s < len; s++) {
      double sum = 0;
      for (int h = 0; h < heads; h++) {
        float match = Dot.of(query, (t * heads + h) * dim, scratch.cache, s * dim, dim);
        sum += (double) headWeights[t * heads + h] * Math.max(0, match);
      }
      scratch.scores[s] = (float) (sum * op.scale());
    }
  }

  /** Writes the positions of the k highest scores in ascending order, then -1. */
  static void keepBest(float[] scores, int len, int[] out, int off, int k) {
    Arrays.fill(out, off, off + k, -1);
    if (len <= k) {
      for (int s = 0; s < len; s++) {
        out[off + s] = s;
      }
      return;
    }
    float[] sorted = Arrays.copyOf(scores, len);
    Arrays.sort(sorted);
    float least = sorted[len - k];
    int ties = k;
    for (int s = 0; s < len; s++) {
      ties -= scores[s] > least ? 1 : 0;
    }
    int n = 0;
    for (int s = 0; s < len && n < k; s++) {
      boolean tie = Float.compare(scores[s], least) == 0 || scores[s] == least;
      if (scores[s] > least || (tie && ties-- > 0)) {
        out[off + n++] = s;
      }
    }
  }
}
