package dev.fathom.backend.reference;

import dev.fathom.backend.StepBatch;
import dev.fathom.program.Op;

/** Grouped-query attention over cached keys and values. */
final class Attention {

  private Attention() {}

  /** Computes all tokens of a step: query and out are [T, H, D]. */
  static void run(
      Op.Attention op, StepBatch batch, PagedKv kv, float[] query, float[] out, Scratch scratch) {
    int heads = op.numHeads();
    int dim = op.cache().headDim();
    int group = heads / op.cache().numKvHeads();
    for (int s = 0; s < batch.numSequences(); s++) {
      int end = batch.firstToken(s + 1);
      kv.gather(batch, s, op.cache(), batch.position(end - 1) + 1, scratch.cache);
      for (int t = batch.firstToken(s); t < end; t++) {
        for (int h = 0; h < heads; h++) {
          head(op, query, (t * heads + h) * dim, h / group, batch.position(t) + 1, out, scratch);
        }
      }
    }
  }

  private static void head(
      Op.Attention op, float[] query, int q, int kvHead, int len, float[] out, Scratch scratch) {
    int dim = op.cache().headDim();
    int stride = op.cache().elementsPerToken();
    int keys = kvHead * dim;
    for (int s = 0; s < len; s++) {
      scratch.scores[s] = Dot.of(query, q, scratch.cache, s * stride + keys, dim) * op.scale();
    }
    Elementwise.softmax(scratch.scores, len);
    int values = stride / 2 + keys;
    for (int j = 0; j < dim; j++) {
      double sum = 0;
      for (int s = 0; s < len; s++) {
        sum += (double) scratch.scores[s] * scratch.cache[s * stride + values + j];
      }
      out[q + j] = (float) sum;
    }
  }
}
