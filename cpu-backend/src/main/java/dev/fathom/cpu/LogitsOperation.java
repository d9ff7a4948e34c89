package dev.fathom.cpu;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.StepBatch;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Order;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.program.Op;

/** The wanted rows times the head; each thread has a range of the vocabulary. */
final class LogitsOperation implements Operation, ThreadTeam.RangeWork {

  private final Matrix head;
  private final Step step;
  private final Adapters adapters;
  private final Adapters.Site site;
  private final float[] in;
  private final float[] out;
  private final int[] tokenOfRow;
  private final Vectors vectors;

  LogitsOperation(Op.Logits op, Matrix head, Step step, Adapters adapters) {
    this.head = head;
    this.step = step;
    this.adapters = adapters;
    this.site = adapters.site(op.weight());
    this.in = step.data(op.input());
    this.out = step.data(op.result());
    this.tokenOfRow = new int[step.options().maxRows()];
    this.vectors =
        head.order() == Order.NATURAL
            ? new Vectors(in, head.cols(), tokenOfRow)
            : step.inputs(head.order(), in, head.cols());
  }

  @Override
  public void run() {
    StepBatch batch = step.batch();
    for (int s = 0; s < batch.numSequences(); s++) {
      for (int r = batch.firstRow(s); r < batch.firstRow(s + 1); r++) {
        tokenOfRow[r] = batch.tokenOfRow(s, r);
      }
    }
    int n = batch.numRows();
    step.arrange(head.order(), in, head.cols(), tokenOfRow, n);
    long products = (long) n * head.rows() * head.cols();
    step.dispatch(products, head.rows(), step.grain(n), this);
    if (adapters.areActive()) {
      addAdapters(batch, n);
    }
  }

  private void addAdapters(StepBatch batch, int n) {
    for (int r = 0; r < n; r++) {
      int t = tokenOfRow[r];
      Adapter.Delta delta = site.of(batch, batch.sequenceOf(t));
      if (delta != null) {
        adapters.add(delta, delta.scale(), in, t * head.cols(), out, r * head.rows(), 0);
      }
    }
  }

  @Override
  public void run(int from, int to, int part) {
    int n = step.batch().numRows();
    head.multiply(from, to, vectors, 0, n, out, 0, head.rows(), step.lanes(part));
  }
}
