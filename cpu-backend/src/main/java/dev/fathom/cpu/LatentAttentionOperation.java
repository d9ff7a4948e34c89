package dev.fathom.cpu;

import dev.fathom.backend.Adapter;
import dev.fathom.cpu.kernel.RowMatrix;
import dev.fathom.cpu.kernel.Sum;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.program.Op;
import dev.fathom.program.Value;
import org.jspecify.annotations.Nullable;

/**
 * Multi-head latent attention (DeepSeek-V2, section 2.1), absorbed: W_UK takes the query into
 * latent space, the cached latents serve as keys and values, and W_UV takes the result out.
 *
 * <p>The threads share out the pairs (token, head). Chunks of positions begin at the first one a
 * token attends to, so a result depends on nothing but the sequence.
 *
 * <p>An adapter on kv_b stays a term of its low rank: scale * A^T B_UK^T q joins the query in
 * latent space, scale * B_UV A c the result. The cached latents are the same with and without it.
 */
final class LatentAttentionOperation implements Operation, ThreadTeam.Work {

  private final Op.LatentAttention op;
  private final RowMatrix kvB;
  private final PagedKv kv;
  private final PagedKv.Layer layer;
  private final Step step;
  private final Adapters adapters;
  private final Adapters.Site site;
  private final Scratch[] scratch;
  private final float[] query;
  private final float[] out;
  private final int[] selected;
  private final int numSelected;
  private final int heads;
  private final int nope;
  private final int rope;
  private final int rank;
  private final int vDim;

  /** Memory of one thread. */
  static final class Scratch {
    private final HeadScratch heads;
    private final float[] latent;
    private final Vectors ordered;

    Scratch(HeadScratch heads, Sizes sizes, int[] identity) {
      this.heads = heads;
      this.latent = new float[sizes.latentRank()];
      this.ordered = new Vectors(new float[latent.length], latent.length, identity);
    }
  }

  LatentAttentionOperation(
      Op.LatentAttention op,
      RowMatrix kvB,
      PagedKv kv,
      Step step,
      Adapters adapters,
      Scratch[] scratch) {
    this.op = op;
    this.kvB = kvB;
    this.kv = kv;
    this.layer = kv.layer(op.cache());
    this.step = step;
    this.adapters = adapters;
    this.site = adapters.site(op.kvB());
    this.scratch = scratch;
    this.query = step.data(op.query());
    this.out = step.data(op.result());
    Value selection = op.selection();
    this.selected = selection == null ? new int[0] : step.ints(selection);
    this.numSelected = selection == null ? 0 : selection.shape().last();
    this.heads = op.numHeads();
    this.nope = op.qkNopeHeadDim();
    this.rope = op.cache().qkRopeHeadDim();
    this.rank = op.cache().kvLoraRank();
    this.vDim = op.vHeadDim();
  }

  @Override
  public void run() {
    long last = step.batch().position(step.numTokens() - 1);
    long perHead = (long) (nope + vDim) * rank + (last + 1) * (2L * rank + rope);
    step.dispatch(perHead * step.numTokens() * heads, this);
  }

  @Override
  public void run(int part, int numParts) {
    int pairs = step.numTokens() * heads;
    int end = Step.begin(pairs, part + 1, numParts);
    for (int at = Step.begin(pairs, part, numParts); at < end; ) {
      int h = at % heads;
      int n = Math.min(Math.min(heads - h, end - at), HeadScratch.HEADS);
      attend(at / heads, h, n, part);
      at += n;
    }
  }

  /** Computes heads [h, h + n) of token t. */
  private void attend(int t, int h, int n, int part) {
    Scratch s = scratch[part];
    Adapter.Delta delta =
        adapters.areActive() ? site.of(step.batch(), step.batch().sequenceOf(t)) : null;
    for (int i = 0; i < n; i++) {
      absorb(t, h + i, s.heads.queries, i * (rank + rope), delta, part);
    }
    s.heads.begin();
    int len = numAttended(t);
    for (int first = 0; first < len; first += HeadScratch.CHUNK) {
      int m = Math.min(HeadScratch.CHUNK, len - first);
      gather(t, first, m, s.heads.keys);
      s.heads.add(n, m, rank + rope, s.heads.keys, rank + rope, rank);
    }
    for (int i = 0; i < n; i++) {
      release(t, h + i, i, delta, part);
    }
  }

  private int numAttended(int t) {
    int len = step.batch().position(t) + 1;
    if (numSelected == 0) {
      return len;
    }
    int n = 0;
    while (n < numSelected && selected[t * numSelected + n] >= 0) {
      n++;
    }
    return n;
  }

  /** Reads the first-th to (first + m)-th position that token t attends to. */
  private void gather(int t, int first, int m, float[] target) {
    int sequence = step.batch().sequenceOf(t);
    int width = rank + rope;
    for (int i = 0; i < m; i++) {
      int position = numSelected == 0 ? first + i : selected[t * numSelected + first + i];
      kv.read(step.batch(), sequence, layer, position, 0, width, target, i * width);
    }
  }

  /** Writes scale * (W_UK^T q_nope, q_rope) of a head to target[at..]. */
  private void absorb(
      int t, int head, float[] target, int at, Adapter.@Nullable Delta delta, int part) {
    int q = (t * heads + head) * (nope + rope);
    int row = head * (nope + vDim);
    kvB.multiplyTransposed(row, nope, query, q, target, at);
    if (delta != null) {
      adapters.addTransposed(delta, row, nope, query, q, target, at, part);
    }
    Sum.scale(op.scale(), target, at, target, at, rank);
    Sum.scale(op.scale(), query, q + nope, target, at + rank, rope);
  }

  /** Writes W_UV times the latent of head i to the result. */
  private void release(int t, int head, int i, Adapter.@Nullable Delta delta, int part) {
    Scratch s = scratch[part];
    s.heads.finish(i, rank, s.latent, 0);
    kvB.order().arrange(s.latent, 0, s.ordered.data(), 0, rank);
    int from = head * (nope + vDim) + nope;
    int target = (t * heads + head) * vDim - from;
    kvB.multiply(from, from + vDim, s.ordered, 0, 1, out, target, 0, step.lanes(part));
    if (delta != null) {
      adapters.project(delta, s.latent, 0, part);
      adapters.addRows(delta, delta.scale(), from, from + vDim, out, target + from, part);
    }
  }
}
