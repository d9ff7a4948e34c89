package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.moe.Router;
import dev.fathom.moe.RouterScratch;
import dev.fathom.program.Op;
import org.jspecify.annotations.Nullable;

/** Router logits by the team, then the rule of the spec token by token. */
final class RouteOperation implements Operation, ThreadTeam.Work {

  private final Op.Route op;
  private final Matrix gate;
  private final float @Nullable [] bias;
  private final Step step;
  private final float[] scores;
  private final RouterScratch scratch;
  private final float[] in;
  private final Vectors vectors;

  RouteOperation(
      Op.Route op,
      Matrix gate,
      float @Nullable [] bias,
      Step step,
      float[] scores,
      RouterScratch scratch) {
    this.op = op;
    this.gate = gate;
    this.bias = bias;
    this.step = step;
    this.scores = scores;
    this.scratch = scratch;
    this.in = step.data(op.input());
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
      Router.route(op.spec(), scores, t * gate.rows(), bias, ids, weights, t * topK, scratch);
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
