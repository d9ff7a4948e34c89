package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Dot;
import dev.fathom.cpu.kernel.Lanes;
import dev.fathom.program.Op;
import java.util.Arrays;

/**
 * The lightning indexer (DeepSeek-V3.2) over keys or, in V4, over compressed entries: the threads
 * share out the tokens.
 */
final class TopKIndexOperation implements Operation, ThreadTeam.Work {

  private static final int CHUNK = HeadScratch.CHUNK;

  private final Op.TopKIndex op;
  private final PagedKv kv;
  private final PagedKv.Layer layer;
  private final Step step;
  private final Scratch[] scratch;
  private final float[] query;
  private final float[] headWeights;
  private final int[] out;
  private final int heads;
  private final int dim;
  private final int k;

  /** Memory of one thread. */
  static final class Scratch {
    private final float[] keys;
    private final float[] queries;
    private final float[] matches;
    private final float[] scores;
    private final float[] sorted;
    private final float[] lanes = new float[Lanes.scratchLen()];

    Scratch(Sizes sizes) {
      keys = new float[CHUNK * sizes.indexDim()];
      queries = new float[sizes.indexHeads() * sizes.indexDim()];
      matches = new float[sizes.indexHeads() * CHUNK];
      scores = new float[sizes.indexPositions()];
      sorted = new float[sizes.indexPositions()];
    }

    static long floats(Sizes sizes) {
      return (long) (CHUNK + sizes.indexHeads()) * sizes.indexDim()
          + (long) sizes.indexHeads() * CHUNK
          + 2L * sizes.indexPositions();
    }
  }

  TopKIndexOperation(Op.TopKIndex op, PagedKv kv, Step step, Scratch[] scratch) {
    this.op = op;
    this.kv = kv;
    this.layer = kv.layer(op.cache());
    this.step = step;
    this.scratch = scratch;
    this.query = step.data(op.query());
    this.headWeights = step.data(op.headWeights());
    this.out = step.ints(op.result());
    this.heads = op.query().shape().dims().getFirst();
    this.dim = op.cache().elementsPerToken();
    this.k = op.result().shape().last();
  }

  @Override
  public void run() {
    long last = step.batch().position(step.numTokens() - 1);
    step.dispatch(step.numTokens() * (last + 1) * heads * dim, this);
  }

  @Override
  public void run(int part, int numParts) {
    int end = Step.begin(step.numTokens(), part + 1, numParts);
    for (int t = Step.begin(step.numTokens(), part, numParts); t < end; t++) {
      int len = (step.batch().position(t) + 1) / op.cache().tokensPerSlot();
      if (len > k) {
        score(t, len, scratch[part]);
      }
      keepBest(scratch[part], len, t * k);
    }
  }

  private void score(int t, int len, Scratch s) {
    int sequence = step.batch().sequenceOf(t);
    System.arraycopy(query, t * heads * dim, s.queries, 0, heads * dim);
    for (int first = 0; first < len; first += CHUNK) {
      int m = Math.min(CHUNK, len - first);
      for (int i = 0; i < m; i++) {
        kv.read(step.batch(), sequence, layer, first + i, 0, dim, s.keys, i * dim);
      }
      Dot.all(s.keys, m, dim, s.queries, 0, heads, s.matches, CHUNK, s.lanes);
      for (int i = 0; i < m; i++) {
        s.scores[first + i] = score(t, i, s.matches);
      }
    }
  }

  private float score(int t, int position, float[] matches) {
    double sum = 0;
    for (int h = 0; h < heads; h++) {
      float match = Math.max(0f, matches[h * CHUNK + position]);
      sum += (double) headWeights[t * heads + h] * match;
    }
    return (float) (sum * op.scale());
  }

  /** Writes the positions of the k highest scores in rising order, then -1. */
  private void keepBest(Scratch s, int len, int off) {
    if (len <= k) {
      for (int i = 0; i < k; i++) {
        out[off + i] = i < len ? i : -1;
      }
      return;
    }
    System.arraycopy(s.scores, 0, s.sorted, 0, len);
    Arrays.sort(s.sorted, 0, len);
    float least = s.sorted[len - k];
    int ties = k;
    for (int i = 0; i < len; i++) {
      ties -= s.scores[i] > least ? 1 : 0;
    }
    int n = 0;
    for (int i = 0; i < len && n < k; i++) {
      boolean isTie = s.scores[i] == least || Float.compare(s.scores[i], least) == 0;
      if (s.scores[i] > least || (isTie && ties-- > 0)) {
        out[off + n++] = i;
      }
    }
    Arrays.fill(out, off + n, off + k, -1);
  }
}
