package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.moe.Router;
import dev.fathom.moe.RouterScratch;
import dev.fathom.program.CompressedOp;
import dev.fathom.quant.RowReader;

/** Experts by token id, weighed by router logits that the team computes. */
final class HashRouteOperation implements Operation, ThreadTeam.Work {

  private final CompressedOp.HashRoute op;
  private final Matrix gate;
  private final RowReader table;
  private final Step step;
  private final float[] scores;
  private final RouterScratch scratch;
  private final float[] in;
  private final float[] chosen;
  private final Vectors vectors;

  HashRouteOperation(
      CompressedOp.HashRoute op,
      Matrix gate,
      RowReader table,
      Step step,
      float[] scores,
      RouterScratch scratch) {
    this.op = op;
    this.gate = gate;
    this.table = table;
    this.step = step;
    this.scores = scores;
    this.scratch = scratch;
    this.in = step.data(op.input());
    this.chosen = new float[op.spec().topK()];
    this.vectors = step.inputs(gate.order(), in, gate.cols());
  }

  @Override
  public void run() {
    int n = step.numTokens();
    step.arrange(gate.order(), in, gate.cols(), step.identity(), n);
    step.dispatch((long) n * gate.rows() * gate.cols(), this);
    int[] ids = step.ints(op.result());
    float[] weights = step.data(op.result());
    int topK = op.spec().topK();
    for (int t = 0; t < n; t++) {
      table.read(step.token(t), chosen, 0);
      for (int k = 0; k < topK; k++) {
        ids[t * topK + k] = (int) chosen[k];
      }
      Router.weigh(op.spec(), scores, t * gate.rows(), ids, weights, t * topK, scratch);
    }
  }

  @Override
  public void run(int part, int numParts) {
    int from = Step.begin(gate.rows(), part, numParts);
    int to = Step.begin(gate.rows(), part + 1, numParts);
    int n = step.numTokens();
    gate.multiply(from, to, vectors, 0, n, scores, 0, gate.rows(), step.lanes(part));
  }
}
