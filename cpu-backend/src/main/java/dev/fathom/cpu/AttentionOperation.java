package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Sum;
import dev.fathom.cpu.kernel.WeightedSum;
import dev.fathom.program.Op;

/**
 * Grouped-query attention: the threads share out the key-value heads of groups of tokens; the query
 * heads of such a head and the tokens of a sequence go through the cache together.
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
    int n = step.numTokens();
    int most = Math.clamp((long) n * kvHeads / numParts, 1, HeadScratch.PLACES);
    int unit = 0;
    for (int t = 0; t < n; ) {
      int tokens = step.neighbours(t, most);
      for (int kvHead = 0; kvHead < kvHeads; kvHead++) {
        for (int g = 0; g < group; g += HeadScratch.HEADS, unit++) {
          if (unit % numParts == part) {
            int count = Math.min(group - g, HeadScratch.HEADS);
            attend(t, tokens, kvHead, g, count, scratch[part]);
          }
        }
      }
      t += tokens;
    }
  }

  /** Computes query heads [g, g + n) of a key-value head for some tokens of a sequence. */
  private void attend(int t, int tokens, int kvHead, int g, int n, HeadScratch s) {
    int first = ((t * kvHeads + kvHead) * group + g) * dim;
    int stride = kvHeads * group * dim;
    int place = HeadScratch.HEADS * dim;
    for (int k = 0; k < tokens; k++) {
      Sum.scale(op.scale(), query, first + k * stride, s.queries, k * place, n * dim);
      s.begin(k * HeadScratch.HEADS, n, dim);
    }
    int begun = step.batch().position(t) + 1;
    int len = begun + tokens - 1;
    for (int p = 0; p < len; p += HeadScratch.CHUNK) {
      int m = Math.min(HeadScratch.CHUNK, len - p);
      gather(t, p, m, kvHead * dim, s.keys);
      gather(t, p, m, (kvHeads + kvHead) * dim, s.values);
      for (int k = 0; k < tokens; k++) {
        int seen = Math.min(m, begun + k - p);
        if (seen > 0) {
          s.add(k * place, k * HeadScratch.HEADS, n, seen, dim, s.values, sums);
        }
      }
    }
    for (int k = 0; k < tokens; k++) {
      for (int i = 0; i < n; i++) {
        s.finish(k * HeadScratch.HEADS + i, dim, out, first + k * stride + i * dim);
      }
    }
  }

  private void gather(int t, int position, int m, int element, float[] target) {
    int sequence = step.batch().sequenceOf(t);
    kv.readParts(step.batch(), sequence, layer, position, m, element, dim, target);
  }
}
