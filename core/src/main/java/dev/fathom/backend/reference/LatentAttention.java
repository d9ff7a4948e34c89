package dev.fathom.backend.reference;

import dev.fathom.backend.LatentForm;
import dev.fathom.backend.StepBatch;
import dev.fathom.program.Op;
import dev.fathom.quant.WeightMatrix;

/**
 * Multi-head latent attention (DeepSeek-V2, section 2.1), absorbed and expanded.
 *
 * <p>Absorbed: the query is taken into latent space by W_UK, attends to the latents themselves, and
 * the weighted latent leaves through W_UV. Expanded: key and value of every position are rebuilt.
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

  /** Computes all tokens of a step. */
  void run(StepBatch batch, PagedKv kv, float[] query, float[] out) {
    for (int s = 0; s < batch.numSequences(); s++) {
      int end = batch.firstToken(s + 1);
      int len = batch.position(end - 1) + 1;
      kv.gather(batch, s, op.cache(), len, scratch.cache);
      for (int h = 0; h < heads; h++) {
        decodeHead(h);
        if (form == LatentForm.EXPANDED) {
          expand(len);
        }
        for (int t = batch.firstToken(s); t < end; t++) {
          head(
              query,
              (t * heads + h) * (nope + rope),
              batch.position(t),
              out,
              (t * heads + h) * vDim);
        }
      }
    }
  }

  private void decodeHead(int h) {
    for (int r = 0; r < nope + vDim; r++) {
      kvB.decodeRow(h * (nope + vDim) + r, scratch.headRows, r * rank);
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

  private void head(float[] query, int q, int position, float[] out, int o) {
    int len = position + 1;
    if (form == LatentForm.EXPANDED) {
      scoreExpanded(query, q, len);
      Elementwise.softmax(scratch.scores, len);
      mixExpanded(len, out, o);
    } else {
      scoreAbsorbed(query, q, len);
      Elementwise.softmax(scratch.scores, len);
      mixAbsorbed(len, out, o);
    }
  }

  private void scoreAbsorbed(float[] query, int q, int len) {
    weightedRows(query, q, nope, scratch.headRows, 0, rank, scratch.latent);
    for (int s = 0; s < len; s++) {
      int at = s * (rank + rope);
      float content = Dot.of(scratch.latent, 0, scratch.cache, at, rank);
      float place = Dot.of(query, q + nope, scratch.cache, at + rank, rope);
      scratch.scores[s] = (content + place) * op.scale();
    }
  }

  private void mixAbsorbed(int len, float[] out, int o) {
    weightedRows(scratch.scores, 0, len, scratch.cache, 0, rank + rope, scratch.latent);
    for (int r = 0; r < vDim; r++) {
      out[o + r] = Dot.of(scratch.latent, 0, scratch.headRows, (nope + r) * rank, rank);
    }
  }

  private void scoreExpanded(float[] query, int q, int len) {
    int width = nope + vDim;
    for (int s = 0; s < len; s++) {
      float content = Dot.of(query, q, scratch.expanded, s * width, nope);
      float place = Dot.of(query, q + nope, scratch.cache, s * (rank + rope) + rank, rope);
      scratch.scores[s] = (content + place) * op.scale();
    }
  }

  private void mixExpanded(int len, float[] out, int o) {
    int width = nope + vDim;
    for (int r = 0; r < vDim; r++) {
      double sum = 0;
      for (int s = 0; s < len; s++) {
        sum += (double) scratch.scores[s] * scratch.expanded[s * width + nope + r];
      }
      out[o + r] = (float) sum;
    }
  }

  /** target[j] = sum over i of weights[off + i] * rows[rowsOff + i * stride + j], j below rank. */
  private void weightedRows(
      float[] weights, int off, int n, float[] rows, int rowsOff, int stride, float[] target) {
    for (int j = 0; j < rank; j++) {
      double sum = 0;
      for (int i = 0; i < n; i++) {
        sum += (double) weights[off + i] * rows[rowsOff + i * stride + j];
      }
      target[j] = (float) sum;
    }
  }
}
