package dev.fathom.backend.reference;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.StepBatch;
import dev.fathom.program.Op;
import dev.fathom.program.Value;
import dev.fathom.quant.WeightMatrix;
import org.jspecify.annotations.Nullable;

/**
 * Multi-head latent attention (DeepSeek-V2, section 2.1), absorbed and expanded.
 *
 * <p>Absorbed: the query is taken into latent space by W_UK, attends to the latents themselves, and
 * the weighted latent leaves through W_UV. Expanded: key and value of every position are rebuilt.
 * An adapter on kv_b is added to the rows of each head, W + scale * B * A, so that both forms see
 * the merged weights.
 */
final class LatentAttention {

  private final Op.LatentAttention op;
  private final WeightMatrix kvB;
  private final Scratch scratch;
  private final LatentForm form;
  private final int nope;
  private final int rope;
  private final int rank;
  private final int vDim;
  private final int heads;

  LatentAttention(Op.LatentAttention op, WeightMatrix kvB, Scratch scratch, LatentForm form) {
    this.op = op;
    this.kvB = kvB;
    this.scratch = scratch;
    this.form = form;
    this.nope = op.qkNopeHeadDim();
    this.rope = op.cache().qkRopeHeadDim();
    this.rank = op.cache().kvLoraRank();
    this.vDim = op.vHeadDim();
    this.heads = op.numHeads();
  }

  /** What the adapter of a sequence adds to kv_b. */
  interface Deltas {
    /** Returns the delta of sequence s, or null. */
    Adapter.@Nullable Delta of(int s);
  }

  /** Computes all tokens of a step; selected is [T, k] positions, or null for all. */
  void run(
      StepBatch batch,
      PagedKv kv,
      float[] query,
      int @Nullable [] selected,
      float[] out,
      Deltas deltas) {
    for (int s = 0; s < batch.numSequences(); s++) {
      int end = batch.firstToken(s + 1);
      int len = batch.position(end - 1) + 1;
      kv.gather(batch, s, op.cache(), len, scratch.cache);
      for (int h = 0; h < heads; h++) {
        decodeHead(h, deltas.of(s));
        if (form == LatentForm.EXPANDED) {
          expand(len);
        }
        for (int t = batch.firstToken(s); t < end; t++) {
          int n = attend(selected, t, batch.position(t) + 1);
          head(query, (t * heads + h) * (nope + rope), n, out, (t * heads + h) * vDim);
        }
      }
    }
  }

  /** Lists the positions that a token attends to and returns their number. */
  private int attend(int @Nullable [] selected, int t, int len) {
    int[] attended = scratch.attended;
    if (selected == null) {
      for (int s = 0; s < len; s++) {
        attended[s] = s;
      }
      return len;
    }
    int k = width(op.selection());
    int n = 0;
    while (n < k && selected[t * k + n] >= 0) {
      attended[n] = selected[t * k + n];
      n++;
    }
    return n;
  }

  private static int width(@Nullable Value selection) {
    return selection == null ? 0 : selection.shape().last();
  }

  private void decodeHead(int h, Adapter.@Nullable Delta delta) {
    for (int r = 0; r < nope + vDim; r++) {
      kvB.decodeRow(h * (nope + vDim) + r, scratch.headRows, r * rank);
      if (delta != null) {
        addRow(delta, h * (nope + vDim) + r, r * rank);
      }
    }
  }

  /** Adds scale * (B * A)[row] to headRows[off..]. */
  private void addRow(Adapter.Delta delta, int row, int off) {
    for (int j = 0; j < rank; j++) {
      double sum = 0;
      for (int k = 0; k < delta.rank(); k++) {
        sum += (double) delta.b()[row * delta.rank() + k] * delta.a()[k * rank + j];
      }
      scratch.headRows[off + j] += (float) (delta.scale() * sum);
    }
  }

  private void expand(int len) {
    int width = nope + vDim;
    for (int s = 0; s < len; s++) {
      for (int r = 0; r < width; r++) {
        scratch.expanded[s * width + r] =
            Dot.of(scratch.cache, s * (rank + rope), scratch.headRows, r * rank, rank);
      }
    }
  }

  private void head(float[] query, int q, int n, float[] out, int o) {
    if (form == LatentForm.EXPANDED) {
      scoreExpanded(query, q, n);
      Elementwise.softmax(scratch.scores, n);
      mixExpanded(n, out, o);
    } else {
      scoreAbsorbed(query, q, n);
      Elementwise.softmax(scratch.scores, n);
      mixAbsorbed(n, out, o);
    }
  }

  private void scoreAbsorbed(float[] query, int q, int n) {
    for (int j = 0; j < rank; j++) {
      double sum = 0;
      for (int i = 0; i < nope; i++) {
        sum += (double) query[q + i] * scratch.headRows[i * rank + j];
      }
      scratch.latent[j] = (float) sum;
    }
    for (int i = 0; i < n; i++) {
      int at = scratch.attended[i] * (rank + rope);
      float content = Dot.of(scratch.latent, 0, scratch.cache, at, rank);
      float place = Dot.of(query, q + nope, scratch.cache, at + rank, rope);
      scratch.scores[i] = (content + place) * op.scale();
    }
  }

  private void mixAbsorbed(int n, float[] out, int o) {
    for (int j = 0; j < rank; j++) {
      double sum = 0;
      for (int i = 0; i < n; i++) {
        int at = scratch.attended[i] * (rank + rope);
        sum += (double) scratch.scores[i] * scratch.cache[at + j];
      }
      scratch.latent[j] = (float) sum;
    }
    for (int r = 0; r < vDim; r++) {
      out[o + r] = Dot.of(scratch.latent, 0, scratch.headRows, (nope + r) * rank, rank);
    }
  }

  private void scoreExpanded(float[] query, int q, int n) {
    int width = nope + vDim;
    for (int i = 0; i < n; i++) {
      int s = scratch.attended[i];
      float content = Dot.of(query, q, scratch.expanded, s * width, nope);
      float place = Dot.of(query, q + nope, scratch.cache, s * (rank + rope) + rank, rope);
      scratch.scores[i] = (content + place) * op.scale();
    }
  }

  private void mixExpanded(int n, float[] out, int o) {
    int width = nope + vDim;
    for (int r = 0; r < vDim; r++) {
      double sum = 0;
      for (int i = 0; i < n; i++) {
        int at = scratch.attended[i] * width + nope + r;
        sum += (double) scratch.scores[i] * scratch.expanded[at];
      }
      out[o + r] = (float) sum;
    }
  }
}
