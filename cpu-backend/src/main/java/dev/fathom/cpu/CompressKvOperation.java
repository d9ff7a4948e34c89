package dev.fathom.cpu;

import dev.fathom.backend.StepBatch;
import dev.fathom.cpu.kernel.Pooling;
import dev.fathom.cpu.kernel.RmsNorm;
import dev.fathom.program.CompressedOp;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import dev.fathom.quant.RowReader;

/**
 * Pools complete windows of tokens into entries of the compressed cache; see {@link
 * CompressedOp.CompressKv}. The threads share out the tokens of a step; earlier rows come from the
 * cache, so an entry does not depend on how a prompt was cut.
 */
final class CompressKvOperation implements Operation, ThreadTeam.Work {

  private final CompressedOp.CompressKv op;
  private final float[] ape;
  private final float[] norm;
  private final PagedKv kv;
  private final PagedKv.Layer rows;
  private final PagedKv.Layer entries;
  private final Step step;
  private final int ratio;
  private final int channels;
  private final int width;

  CompressKvOperation(
      CompressedOp.CompressKv op, RowReader ape, float[] norm, PagedKv kv, Step step) {
    this.op = op;
    this.norm = norm;
    this.kv = kv;
    this.rows = kv.layer(op.rows());
    this.entries = kv.layer(op.entries());
    this.step = step;
    this.ratio = op.entries().ratio();
    this.channels = op.rows().channels();
    this.width = op.entries().width();
    this.ape = new float[ratio * channels];
    for (int i = 0; i < ratio; i++) {
      ape.read(i, this.ape, i * channels);
    }
  }

  /** Returns the scratch of a thread: a row of values and gates, and four rows of an entry. */
  static int floats(CompressedOp.CompressKv op) {
    return op.rows().elementsPerToken() + 4 * op.entries().width();
  }

  @Override
  public void run() {
    long pooled = (long) step.numTokens() / ratio + 1;
    step.dispatch(pooled * ratio * channels * 8, this);
  }

  @Override
  public void run(int part, int numParts) {
    StepBatch batch = step.batch();
    int end = Step.begin(step.numTokens(), part + 1, numParts);
    for (int t = Step.begin(step.numTokens(), part, numParts); t < end; t++) {
      if ((batch.position(t) + 1) % ratio == 0) {
        emit(batch.sequenceOf(t), batch.position(t) / ratio, step.pooled(part));
      }
    }
  }

  /** Reads the window twice: for the largest score of each channel, then for the sums. */
  private void emit(int sequence, int entry, float[] scratch) {
    boolean overlaps = channels > width;
    int earlier = overlaps && entry > 0 ? ratio : 0;
    int from = entry * ratio - earlier;
    int own = overlaps ? width : 0;
    int at = 2 * channels;
    Pooling.begin(scratch, at, width);
    for (int i = 0; i < ratio + earlier; i++) {
      int channel = i < earlier ? 0 : own;
      read(sequence, from + i, scratch);
      Pooling.highest(scratch, channels + channel, ape, i % ratio * channels + channel, at, width);
    }
    for (int i = 0; i < ratio + earlier; i++) {
      int channel = i < earlier ? 0 : own;
      read(sequence, from + i, scratch);
      Pooling.score(scratch, channels + channel, ape, i % ratio * channels + channel, at, width);
      Pooling.add(scratch, channel, at, width);
    }
    Pooling.divide(scratch, at, width);
    RmsNorm.run(scratch, at, norm, op.eps(), scratch);
    turn(scratch, at + width - op.rope().dim(), op.rope(), entry * ratio);
    kv.writeSlot(step.batch(), sequence, entry, entries, 0, scratch, at, width);
  }

  private void read(int sequence, int position, float[] target) {
    kv.read(step.batch(), sequence, rows, position, 0, 2 * channels, target, 0);
  }

  /** Turns x[off, off + rope.dim()) by the angles of a position that need not be in the step. */
  private static void turn(float[] x, int off, RopeSpec rope, int position) {
    int half = rope.dim() / 2;
    boolean interleaved = rope.layout() == RopeLayout.INTERLEAVED;
    for (int i = 0; i < half; i++) {
      float angle = (float) position * rope.inverseFrequency(i);
      float cos = (float) Math.cos(angle) * rope.amplitude();
      float sin = (float) Math.sin(angle) * rope.amplitude();
      int a = off + (interleaved ? 2 * i : i);
      int b = off + (interleaved ? 2 * i + 1 : i + half);
      float first = x[a];
      float second = x[b];
      x[a] = first * cos - second * sin;
      x[b] = first * sin + second * cos;
    }
  }
}
