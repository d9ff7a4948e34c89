package dev.fathom.cpu;

import dev.fathom.backend.Adapter;
import dev.fathom.cpu.kernel.LatentRows;
import dev.fathom.cpu.kernel.RowMatrix;
import dev.fathom.cpu.kernel.ScalarStart;
import dev.fathom.cpu.kernel.Sum;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.cpu.kernel.WeightedSum;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Op;
import dev.fathom.program.Value;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Multi-head latent attention (DeepSeek-V2, section 2.1), absorbed: W_UK takes the queries into
 * latent space, the cached latents serve as keys and values, and W_UV takes the results out.
 *
 * <p>Some tokens at a time go through three stages. The threads share out the heads in the first
 * and the last, where the weights of a head meet all those tokens, and in the second groups of
 * tokens of a sequence, which read the cache together. A token sees {@link Segments} of positions,
 * each with a softmax of its own, joined in their order; where there are fewer groups than threads,
 * these share out the segments. So a result depends on nothing but the sequence.
 *
 * <p>An adapter on kv_b stays a term of its low rank: scale * A^T B_UK^T q joins the query in
 * latent space, scale * B_UV A c the result. The cached latents are the same with and without it.
 */
final class LatentAttentionOperation implements Operation {

  /** Most heads of a token that go through the cache together. */
  private static final int MOST_HEADS = HeadScratch.PLACES * HeadScratch.HEADS;

  private final Op.LatentAttention op;
  private final RowMatrix kvB;
  private final PagedKv kv;
  private final PagedKv.Layer layer;
  private final Step step;
  private final Adapters adapters;
  private final Adapters.Site site;
  private final HeadScratch[] scratch;
  private final LatentScratch latent;
  private final Vectors ordered;
  private final float[] query;
  private final float[] out;
  private final int[] selected;
  private final int numSelected;
  private final int heads;
  private final int groups;
  private final int nope;
  private final int rope;
  private final int rank;
  private final int vDim;
  private final int tile;
  private final boolean readsInPlace;
  private final WeightedSum absorbed;
  private final WeightedSum values;
  private final ThreadTeam.RangeWork absorb = this::absorb;
  private final ThreadTeam.Work attend = this::attend;
  private final ThreadTeam.RangeWork attendSegments = this::attendSegments;
  private final ThreadTeam.RangeWork release = this::release;

  // The tokens that go through the stages, and the heads of a group of them.
  private int begin;
  private int n;
  private int segments;
  private boolean isInSegments;
  private int together = MOST_HEADS;

  LatentAttentionOperation(
      Op.LatentAttention op,
      RowMatrix kvB,
      PagedKv kv,
      Step step,
      Adapters adapters,
      HeadScratch[] scratch,
      LatentScratch latent) {
    this.op = op;
    this.kvB = kvB;
    this.kv = kv;
    this.layer = kv.layer(op.cache());
    this.step = step;
    this.adapters = adapters;
    this.site = adapters.site(op.kvB());
    this.scratch = scratch;
    this.latent = latent;
    this.query = step.data(op.query());
    this.out = step.data(op.result());
    Value selection = op.selection();
    this.selected = selection == null ? new int[0] : step.ints(selection);
    this.numSelected = selection == null ? 0 : selection.shape().last();
    this.heads = op.numHeads();
    this.groups = Math.ceilDiv(heads, HeadScratch.HEADS);
    this.nope = op.qkNopeHeadDim();
    this.rope = op.cache().qkRopeHeadDim();
    this.rank = op.cache().kvLoraRank();
    this.vDim = op.vHeadDim();
    this.tile = LatentScratch.tokens(op, step.options().maxTokens());
    int width = rank + rope;
    this.readsInPlace =
        numSelected == 0
            && layer.layout().format() == KvFormat.F32
            && layer.layout().blockTokens() % HeadScratch.CHUNK == 0
            && LatentRows.fits(width, rank);
    this.absorbed = new WeightedSum(heads * (nope + rope), rank, heads * width, rank);
    this.values = HeadScratch.sumsOfLanes(rank, width);
    this.ordered = new Vectors(latent.ordered(), rank, latent.identity());
  }

  @Override
  public void run() {
    for (begin = 0; begin < step.numTokens(); begin += tile) {
      n = Math.min(tile, step.numTokens() - begin);
      long product = (long) n * heads * nope * rank;
      step.dispatch(product, heads, 1, absorb);
      isInSegments = attendAll();
      step.dispatch(product, heads, 1, release);
    }
  }

  /** Returns whether segments are left to be joined. */
  private boolean attendAll() {
    int longest = 0;
    for (int t = begin; t < begin + n; t++) {
      longest = Math.max(longest, numAttended(t));
    }
    long products = (long) n * longest * heads * (2L * rank + rope);
    segments = Segments.count(longest);
    int units = n * groups;
    boolean fits = (long) units * segments * unitFloats() <= latent.parts().length;
    int threads = step.threads();
    if (fits && units < 2 * threads && isFasterBySegments(longest, threads)) {
      step.dispatch(products, units * segments, 1, attendSegments);
      return true;
    } else {
      together = headsTogether(threads);
      step.dispatch(products, attend);
      return false;
    }
  }

  /**
   * Returns whether threads that share out segments end sooner than threads that share out heads,
   * each of which reads the whole cache: reading a chunk costs a third, {@link HeadScratch#HEADS}
   * heads two thirds.
   */
  private boolean isFasterBySegments(int longest, int threads) {
    long most = 0;
    int items = n * groups * segments;
    for (int part = 0; part < threads; part++) {
      long first = positionsBefore(Step.begin(items, part, threads), longest);
      most = Math.max(most, positionsBefore(Step.begin(items, part + 1, threads), longest) - first);
    }
    long bySegments = 3 * most;
    int count = headsTogether(threads);
    long units = n * (long) Math.ceilDiv(heads, count);
    long byHeads = longest * (1 + 2L * count / HeadScratch.HEADS) * Math.ceilDiv(units, threads);
    return bySegments < byHeads;
  }

  /** Returns the positions of all segments before one of {@link #attendSegments}. */
  private long positionsBefore(int item, int longest) {
    return (long) (item / segments) * longest + Math.min(longest, Segments.begin(item % segments));
  }

  /** Returns the heads that read the cache together: fewer than usual where threads would idle. */
  private int headsTogether(int threads) {
    int count = MOST_HEADS;
    while (count > HeadScratch.HEADS && n * Math.ceilDiv(heads, count) % threads != 0) {
      count /= 2;
    }
    return count;
  }

  private int unitFloats() {
    return unitFloats(rank);
  }

  private static int unitFloats(int rank) {
    return HeadScratch.HEADS * HeadScratch.row(rank);
  }

  /** Returns the elements that the segments of so many positions take for some heads of a token. */
  static long segmentFloats(Op.LatentAttention op, long positions) {
    return Segments.count(positions) * unitFloats(op.cache().kvLoraRank());
  }

  private Adapter.@Nullable Delta delta(int t) {
    return adapters.areActive() ? site.of(step.batch(), step.batch().sequenceOf(t)) : null;
  }

  /** Writes scale * (W_UK^T q_nope, q_rope) of some heads to the latent queries. */
  private void absorb(int from, int end, int part) {
    int width = rank + rope;
    int queryWidth = nope + rope;
    float[] target = latent.queries();
    for (int h = from; h < end; h++) {
      int row = h * (nope + vDim);
      int q = (begin * heads + h) * queryWidth;
      int stride = heads * queryWidth;
      if (n == 1 && kvB.sumsRows(nope)) {
        kvB.sumRows(row, nope, query, q, target, h * width);
      } else {
        absorbDecoded(h, q, latent.rows(part));
      }
      for (int t = 0; t < n; t++) {
        int at = (t * heads + h) * width;
        Adapter.Delta delta = delta(begin + t);
        if (delta != null) {
          adapters.addTransposed(delta, row, nope, query, q + t * stride, target, at, part);
        }
        Sum.scale(op.scale(), target, at, target, at, rank);
        Sum.scale(op.scale(), query, q + t * stride + nope, target, at + rank, rope);
      }
    }
  }

  /** Writes W_UK^T q_nope of head h of all tokens, whose queries begin at q. */
  private void absorbDecoded(int h, int q, float[] rows) {
    int width = rank + rope;
    float[] target = latent.queries();
    for (int i = 0; i < nope; i++) {
      kvB.decodeNatural(h * (nope + vDim) + i, rows, i * rank);
    }
    for (int t = 0; t < n; t++) {
      int at = (t * heads + h) * width;
      Arrays.fill(target, at, at + rank, 0f);
    }
    absorbed.add(query, q, rows, nope, target, h * width, n);
  }

  private int numAttended(int t) {
    int len = step.batch().position(t) + 1;
    if (numSelected == 0) {
      return len;
    }
    int attended = 0;
    while (attended < numSelected && selected[t * numSelected + attended] >= 0) {
      attended++;
    }
    return attended;
  }

  /** Computes all heads of groups of tokens; every so many groups are a thread's. */
  private void attend(int part, int numParts) {
    int unit = 0;
    for (int t = begin; t < begin + n; ) {
      int most = Math.min(HeadScratch.PLACES, begin + n - t);
      int tokens = numSelected == 0 ? step.neighbours(t, most) : 1;
      int count = tokens == 1 ? together : HeadScratch.HEADS;
      for (int h = 0; h < heads; h += count, unit++) {
        if (unit % numParts == part) {
          attend(t, tokens, h, Math.min(count, heads - h), scratch[part]);
        }
      }
      t += tokens;
    }
  }

  /**
   * Takes count heads from h on of some tokens through the cache: a place of the scratch for each
   * token, or for every {@link HeadScratch#HEADS} heads of a single one.
   */
  private void attend(int t, int tokens, int h, int count, HeadScratch s) {
    int longest = numAttended(t + tokens - 1);
    turn(t, tokens, h, count, s);
    for (int segment = 0; Segments.begin(segment) < longest; segment++) {
      addSegment(t, tokens, count, segment, s, s.state(), 0);
      int first = Segments.begin(segment);
      for (int k = 0; k < tokens; k++) {
        int row = k * HeadScratch.HEADS;
        if (first == 0) {
          s.beginTotals(row, count, rank);
        } else if (numAttended(t + k) > first) {
          s.addToTotals(row, count, rank);
        }
      }
    }
    for (int k = 0; k < tokens; k++) {
      for (int i = 0; i < count; i++) {
        finish(t + k, h + i, k * HeadScratch.HEADS + i, s);
      }
    }
  }

  private static int places(int tokens, int count) {
    return tokens == 1 ? Math.ceilDiv(count, HeadScratch.HEADS) : tokens;
  }

  private static int headsOf(int place, int tokens, int count) {
    return tokens == 1 ? Math.min(HeadScratch.HEADS, count - place * HeadScratch.HEADS) : count;
  }

  /** Keeps the queries of count heads from h on of some tokens. */
  private void turn(int t, int tokens, int h, int count, HeadScratch s) {
    int width = rank + rope;
    int stride = tokens == 1 ? HeadScratch.HEADS : heads;
    for (int p = 0; p < places(tokens, count); p++) {
      int q = ((t - begin) * heads + h + p * stride) * width;
      s.turn(p, latent.queries(), q, headsOf(p, tokens, count), width);
    }
  }

  /** Takes count heads of some tokens through a segment, to rows from rows[out] on. */
  private void addSegment(
      int t, int tokens, int count, int segment, HeadScratch s, float[] rows, int out) {
    int width = rank + rope;
    int end = Math.min(Segments.begin(segment + 1), numAttended(t + tokens - 1));
    int places = places(tokens, count);
    for (int p = 0; p < places; p++) {
      HeadScratch.begin(rows, out + p * unitFloats(), headsOf(p, tokens, count), rank);
    }
    for (int at = Segments.begin(segment); at < end; at += HeadScratch.CHUNK) {
      int m = Math.min(HeadScratch.CHUNK, end - at);
      if (staysInPlace(t, at, count)) {
        long row = kv.rowByte(layer, step.batch(), step.batch().sequenceOf(t), at);
        for (int p = 0; p < places; p++) {
          s.addLanes(p, layer.blocks(), row, width, rank, rows, out + p * unitFloats());
        }
        continue;
      }
      gather(t, at, m, s.keys);
      for (int p = 0; p < places; p++) {
        int seen = tokens == 1 ? m : Math.min(m, numAttended(t + p) - at);
        if (seen > 0) {
          int to = out + p * unitFloats();
          s.addLanes(p, headsOf(p, tokens, count), seen, width, values, rows, to);
        }
      }
    }
  }

  /**
   * Returns whether token t, and so those behind it too, attends to all positions of the chunk that
   * begins at one, and count heads fill their places.
   */
  private boolean staysInPlace(int t, int at, int count) {
    return readsInPlace
        && numAttended(t) >= at + HeadScratch.CHUNK
        && count % HeadScratch.HEADS == 0
        && !ScalarStart.isOn();
  }

  /** Reads the first-th to (first + m)-th position that token t attends to. */
  private void gather(int t, int first, int m, float[] target) {
    int sequence = step.batch().sequenceOf(t);
    if (numSelected == 0) {
      kv.readRows(step.batch(), sequence, layer, first, m, target);
      return;
    }
    int width = rank + rope;
    for (int i = 0; i < m; i++) {
      int position = selected[t * numSelected + first + i];
      kv.read(step.batch(), sequence, layer, position, 0, width, target, i * width);
    }
  }

  /** Computes some segments of few tokens and keeps them: [token][group of heads][segment]. */
  private void attendSegments(int from, int end, int part) {
    HeadScratch s = scratch[part];
    int turned = -1;
    for (int u = from; u < end; u++) {
      int segment = u % segments;
      int t = begin + u / segments / groups;
      int h = u / segments % groups * HeadScratch.HEADS;
      int count = Math.min(heads - h, HeadScratch.HEADS);
      if (numAttended(t) > Segments.begin(segment)) {
        if (turned != u / segments) {
          turn(t, 1, h, count, s);
          turned = u / segments;
        }
        addSegment(t, 1, count, segment, s, latent.parts(), u * unitFloats());
      }
    }
  }

  /** Joins what {@link #attendSegments} kept for a head. */
  private void joinSegments(int h) {
    for (int t = 0; t < n; t++) {
      int unit = (t * groups + h / HeadScratch.HEADS) * segments;
      int from = unit * unitFloats() + h % HeadScratch.HEADS * HeadScratch.row(rank);
      int seen = Segments.count(numAttended(begin + t));
      int at = (h * tile + t) * rank;
      float[] natural = latent.natural();
      HeadScratch.join(latent.parts(), from, unitFloats(), seen, rank, natural, at);
      kvB.order().arrange(natural, at, latent.ordered(), at, rank);
    }
  }

  /** Writes the latent of a head of token t, as it is and in the order of W_UV: [head][token]. */
  private void finish(int t, int h, int row, HeadScratch s) {
    int at = (h * tile + t - begin) * rank;
    s.finishTotal(row, rank, latent.natural(), at);
    kvB.order().arrange(latent.natural(), at, latent.ordered(), at, rank);
  }

  /** Writes W_UV times the latents of some heads to the result. */
  private void release(int begun, int end, int part) {
    for (int h = begun; h < end; h++) {
      if (isInSegments) {
        joinSegments(h);
      }
      int from = h * (nope + vDim) + nope;
      int target = (begin * heads + h) * vDim - from;
      kvB.multiply(
          from, from + vDim, ordered, h * tile, n, out, target, heads * vDim, step.lanes(part));
      for (int t = 0; t < n && adapters.areActive(); t++) {
        Adapter.Delta delta = delta(begin + t);
        if (delta != null) {
          adapters.project(delta, latent.natural(), (h * tile + t) * rank, part);
          int to = target + t * heads * vDim + from;
          adapters.addRows(delta, delta.scale(), from, from + vDim, out, to, part);
        }
      }
    }
  }
}
