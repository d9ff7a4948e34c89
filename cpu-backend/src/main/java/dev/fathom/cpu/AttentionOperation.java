package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Sum;
import dev.fathom.cpu.kernel.WeightedSum;
import dev.fathom.program.Op;

/**
 * Grouped-query attention: the threads share out the pairs (token, key-value head); the query heads
 * of such a pair go through the cache together.
 */
final class AttentionOperation implements Operation, ThreadTeam.Work {

  private final Op.Attention op;
  private final PagedKv kv;
  private final PagedKv.Layer layer;
  private final Step step;
  private final HeadScratch[] scratch;
  private final float[] query;
  private final float[] out;
  private final int kvHeads;
  private final int group;
  private final int dim;
  private final WeightedSum sums;

  AttentionOperation(Op.Attention op, PagedKv kv, Step step, HeadScratch[] scratch) {
    this.op = op;
    this.kv = kv;
    this.layer = kv.layer(op.cache());
    this.step = step;
    this.scratch = scratch;
    this.query = step.data(op.query());
    this.out = step.data(op.result());
    this.kvHeads = op.cache().numKvHeads();
    this.group = op.numHeads() / kvHeads;
    this.dim = op.cache().headDim();
    this.sums = HeadScratch.sums(dim, dim);
  }

  @Override
  public void run() {
    long last = step.batch().position(step.numTokens() - 1);
    step.dispatch((last + 1) * step.numTokens() * op.numHeads() * 2 * dim, this);
  }

  @Override
  public void run(int part, int numParts) {
    int pairs = step.numTokens() * kvHeads;
    int end = Step.begin(pairs, part + 1, numParts);
    for (int at = Step.begin(pairs, part, numParts); at < end; at++) {
      for (int g = 0; g < group; g += HeadScratch.HEADS) {
        int n = Math.min(group - g, HeadScratch.HEADS);
        attend(at / kvHeads, at % kvHeads, g, n, scratch[part]);
      }
    }
  }

  /** Computes query heads [g, g + n) of a key-value head for token t. */
  private void attend(int t, int kvHead, int g, int n, HeadScratch s) {
    int first = ((t * kvHeads + kvHead) * group + g) * dim;
    Sum.scale(op.scale(), query, first, s.queries, 0, n * dim);
    s.begin(0, n, dim);
    int sequence = step.batch().sequenceOf(t);
    int len = step.batch().position(t) + 1;
    for (int p = 0; p < len; p += HeadScratch.CHUNK) {
      int m = Math.min(HeadScratch.CHUNK, len - p);
      gather(sequence, p, m, kvHead * dim, s.keys);
      gather(sequence, p, m, (kvHeads + kvHead) * dim, s.values);
      s.add(s.queries, 0, 0, n, m, dim, s.values, sums);
    }
    for (int i = 0; i < n; i++) {
      s.finish(i, dim, out, first + i * dim);
    }
  }

  private void gather(int sequence, int position, int m, int element, float[] target) {
    for (int i = 0; i < m; i++) {
      kv.read(step.batch(), sequence, layer, position + i, element, dim, target, i * dim);
    }
  }
}
