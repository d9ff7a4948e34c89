package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Sum;
import dev.fathom.cpu.kernel.WeightedSum;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.CompressedOp;
import dev.fathom.program.Value;
import org.jspecify.annotations.Nullable;

/**
 * Attention to a sliding window and compressed entries under one softmax with sinks: the threads
 * share out the pairs (token, head). Chunks begin at the first position that a token attends to,
 * and again at its first entry, so a result depends on nothing but the sequence.
 */
final class WindowAttentionOperation implements Operation, ThreadTeam.Work {

  private final CompressedOp.WindowAttention op;
  private final float[] sinks;
  private final PagedKv kv;
  private final PagedKv.Layer window;
  private final PagedKv.@Nullable Layer entries;
  private final Step step;
  private final HeadScratch[] scratch;
  private final float[] query;
  private final float[] out;
  private final int[] selected;
  private final int numSelected;
  private final int ratio;
  private final int heads;
  private final int dim;
  private final WeightedSum sums;

  WindowAttentionOperation(
      CompressedOp.WindowAttention op,
      float[] sinks,
      PagedKv kv,
      Step step,
      HeadScratch[] scratch) {
    this.op = op;
    this.sinks = sinks;
    this.kv = kv;
    this.window = kv.layer(op.window());
    KvSpec.Compressed compressed = op.compressed();
    this.entries = compressed == null ? null : kv.layer(compressed);
    this.ratio = compressed == null ? 1 : compressed.ratio();
    this.step = step;
    this.scratch = scratch;
    this.query = step.data(op.query());
    this.out = step.data(op.result());
    Value selection = op.selection();
    this.selected = selection == null ? new int[0] : step.ints(selection);
    this.numSelected = selection == null ? 0 : selection.shape().last();
    this.heads = op.query().shape().dims().getFirst();
    this.dim = op.window().headDim();
    this.sums = HeadScratch.sums(dim, dim);
  }

  @Override
  public void run() {
    long last = step.batch().position(step.numTokens() - 1);
    long seen = Math.min(last + 1, op.window().windowTokens());
    if (entries != null) {
      seen += numSelected == 0 ? (last + 1) / ratio : numSelected;
    }
    step.dispatch(seen * step.numTokens() * heads * 2 * dim, this);
  }

  @Override
  public void run(int part, int numParts) {
    int pairs = step.numTokens() * heads;
    int end = Step.begin(pairs, part + 1, numParts);
    for (int at = Step.begin(pairs, part, numParts); at < end; ) {
      int h = at % heads;
      int n = Math.min(Math.min(heads - h, end - at), HeadScratch.HEADS);
      attend(at / heads, h, n, scratch[part]);
      at += n;
    }
  }

  /** Computes heads [h, h + n) of token t. */
  private void attend(int t, int h, int n, HeadScratch s) {
    int first = (t * heads + h) * dim;
    Sum.scale(op.scale(), query, first, s.queries, 0, n * dim);
    s.begin(0, n, dim);
    int sequence = step.batch().sequenceOf(t);
    int position = step.batch().position(t);
    int begin = Math.max(0, position - op.window().windowTokens() + 1);
    for (int p = begin; p <= position; p += HeadScratch.CHUNK) {
      int m = Math.min(HeadScratch.CHUNK, position + 1 - p);
      for (int i = 0; i < m; i++) {
        kv.read(step.batch(), sequence, window, p + i, 0, dim, s.keys, i * dim);
      }
      s.add(0, 0, n, m, dim, s.keys, sums);
    }
    PagedKv.Layer compressed = entries;
    if (compressed != null) {
      attendEntries(t, n, compressed, s);
    }
    for (int i = 0; i < n; i++) {
      s.finish(i, sinks[h + i], dim, out, first + i * dim);
    }
  }

  private void attendEntries(int t, int n, PagedKv.Layer compressed, HeadScratch s) {
    int sequence = step.batch().sequenceOf(t);
    int len = numEntries(t);
    for (int e = 0; e < len; e += HeadScratch.CHUNK) {
      int m = Math.min(HeadScratch.CHUNK, len - e);
      for (int i = 0; i < m; i++) {
        int entry = numSelected == 0 ? e + i : selected[t * numSelected + e + i];
        kv.read(step.batch(), sequence, compressed, entry, 0, dim, s.keys, i * dim);
      }
      s.add(0, 0, n, m, dim, s.keys, sums);
    }
  }

  private int numEntries(int t) {
    if (numSelected == 0) {
      return (step.batch().position(t) + 1) / ratio;
    }
    int n = 0;
    while (n < numSelected && selected[t * numSelected + n] >= 0) {
      n++;
    }
    return n;
  }
}
