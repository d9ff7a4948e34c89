package dev.fathom.backend.reference;

import dev.fathom.backend.StepBatch;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.CompressedOp;
import dev.fathom.program.Value;
import org.jspecify.annotations.Nullable;

/** Attention to a sliding window and compressed entries under one softmax with sinks. */
final class WindowAttention {

  private final CompressedOp.WindowAttention op;
  private final float[] sinks;
  private final Scratch scratch;
  private final int heads;
  private final int dim;

  WindowAttention(CompressedOp.WindowAttention op, float[] sinks, Scratch scratch) {
    this.op = op;
    this.sinks = sinks;
    this.scratch = scratch;
    this.heads = op.query().shape().dims().getFirst();
    this.dim = op.window().headDim();
  }

  /** Computes all tokens of a step; selected is [T, k] entries, or null for all visible. */
  void run(StepBatch batch, PagedKv kv, float[] query, int @Nullable [] selected, float[] out) {
    KvSpec.Compressed compressed = op.compressed();
    int window = op.window().windowTokens();
    for (int s = 0; s < batch.numSequences(); s++) {
      int begin = batch.firstToken(s);
      int end = batch.firstToken(s + 1);
      int last = batch.position(end - 1);
      int from = Math.max(0, batch.position(begin) - window + 1);
      kv.gather(batch, s, op.window(), from, last + 1 - from, scratch.cache);
      if (compressed != null) {
        int entries = (last + 1) / compressed.ratio();
        kv.gather(batch, s, compressed, entries, scratch.entries);
      }
      for (int t = begin; t < end; t++) {
        int position = batch.position(t);
        int first = Math.max(0, position - window + 1) - from;
        int numWindow = position - from - first + 1;
        int n = attend(selected, t, compressed == null ? 0 : (position + 1) / compressed.ratio());
        for (int h = 0; h < heads; h++) {
          head(query, (t * heads + h) * dim, h, first, numWindow, n, out);
        }
      }
    }
  }

  /** Lists the entries that a token attends to and returns their number. */
  private int attend(int @Nullable [] selected, int t, int visible) {
    Value selection = op.selection();
    if (selected == null || selection == null) {
      for (int w = 0; w < visible; w++) {
        scratch.attended[w] = w;
      }
      return visible;
    }
    int k = selection.shape().last();
    int n = 0;
    while (n < k && selected[t * k + n] >= 0) {
      scratch.attended[n] = selected[t * k + n];
      n++;
    }
    return n;
  }

  private void head(
      float[] query, int q, int h, int first, int numWindow, int numEntries, float[] out) {
    float[] scores = scratch.scores;
    for (int i = 0; i < numWindow; i++) {
      scores[i] = Dot.of(query, q, scratch.cache, (first + i) * dim, dim) * op.scale();
    }
    for (int i = 0; i < numEntries; i++) {
      int at = scratch.attended[i] * dim;
      scores[numWindow + i] = Dot.of(query, q, scratch.entries, at, dim) * op.scale();
    }
    int n = numWindow + numEntries;
    scores[n] = sinks[h];
    Elementwise.softmax(scores, n + 1);
    for (int j = 0; j < dim; j++) {
      double sum = 0;
      for (int i = 0; i < numWindow; i++) {
        sum += (double) scores[i] * scratch.cache[(first + i) * dim + j];
      }
      for (int i = 0; i < numEntries; i++) {
        int at = scratch.attended[i] * dim;
        sum += (double) scores[numWindow + i] * scratch.entries[at + j];
      }
      out[q + j] = (float) sum;
    }
  }
}
