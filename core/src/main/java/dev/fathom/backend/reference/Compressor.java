package dev.fathom.backend.reference;

import dev.fathom.backend.StepBatch;
import dev.fathom.program.CompressedOp;
import dev.fathom.quant.WeightMatrix;

/**
 * Pools complete windows of tokens into entries of the compressed cache.
 *
 * <p>Rows of earlier tokens come from the cache, so a window may span steps and the result does not
 * depend on how a prompt was cut.
 */
final class Compressor {

  private final CompressedOp.CompressKv op;
  private final WeightMatrix ape;
  private final float[] norm;
  private final Scratch scratch;
  private final int ratio;
  private final int channels;
  private final int width;

  private Compressor(CompressedOp.CompressKv op, WeightMatrix ape, float[] norm, Scratch scratch) {
    this.op = op;
    this.ape = ape;
    this.norm = norm;
    this.scratch = scratch;
    this.ratio = op.entries().ratio();
    this.channels = op.rows().channels();
    this.width = op.entries().width();
  }

  /** Emits the entry of every window that a token of the step completes. */
  static void run(
      CompressedOp.CompressKv op,
      StepBatch batch,
      PagedKv kv,
      WeightMatrix ape,
      float[] norm,
      Scratch scratch) {
    Compressor compressor = new Compressor(op, ape, norm, scratch);
    for (int t = 0; t < batch.numTokens(); t++) {
      if ((batch.position(t) + 1) % compressor.ratio == 0) {
        compressor.emit(batch, batch.sequenceOf(t), batch.position(t) / compressor.ratio, kv);
      }
    }
  }

  private void emit(StepBatch batch, int sequence, int entry, PagedKv kv) {
    boolean overlaps = channels > width;
    int earlier = overlaps && entry > 0 ? ratio : 0;
    int from = entry * ratio - earlier;
    kv.gather(batch, sequence, op.rows(), from, ratio + earlier, scratch.cache);
    for (int c = 0; c < width; c++) {
      scratch.latent[c] = pool(c, earlier, overlaps ? width + c : c);
    }
    Elementwise.rmsNorm(scratch.latent, 0, norm, width, op.eps(), scratch.latent);
    Elementwise.rope(scratch.latent, width - op.rope().dim(), op.rope(), entry * ratio);
    kv.writeSlot(batch, sequence, entry, op.entries(), 0, scratch.latent, 0, width);
  }

  /** Softmax-weighted mean of one channel: earlier rows by channel c, the others by own. */
  private float pool(int c, int earlier, int own) {
    int n = ratio + earlier;
    float[] scores = scratch.scores;
    for (int i = 0; i < n; i++) {
      int channel = i < earlier ? c : own;
      float gate = scratch.cache[i * 2 * channels + channels + channel];
      scores[i] = gate + ape.get(i % ratio, channel);
    }
    Elementwise.softmax(scores, n);
    double sum = 0;
    for (int i = 0; i < n; i++) {
      int channel = i < earlier ? c : own;
      sum += (double) scores[i] * scratch.cache[i * 2 * channels + channel];
    }
    return (float) sum;
  }
}
