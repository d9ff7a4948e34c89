package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Order;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.program.CompressedOp;

/** A block-diagonal product; each thread has a range of all groups' rows. */
final class GroupedLinearOperation implements Operation, ThreadTeam.Work {

  private final CompressedOp.GroupedLinear op;
  private final Matrix matrix;
  private final Step step;
  private final float[] in;
  private final float[] out;
  private final int perGroup;
  private final Vectors[] groups;

  GroupedLinearOperation(CompressedOp.GroupedLinear op, Matrix matrix, Step step) {
    this.op = op;
    this.matrix = matrix;
    this.step = step;
    this.in = step.data(op.input());
    this.out = step.data(op.result());
    this.groups = new Vectors[op.input().shape().dims().getFirst()];
    this.perGroup = matrix.rows() / groups.length;
    int cols = matrix.cols();
    Order order = matrix.order();
    int len = order.len(cols);
    for (int g = 0; g < groups.length; g++) {
      float[] data = step.inputs(order, in, cols).data();
      groups[g] = new Vectors(data, groups.length * len, step.identity(), g * len);
    }
  }

  @Override
  public void run() {
    int vectors = step.vectors(op.input());
    step.arrange(matrix.order(), in, matrix.cols(), step.identity(), vectors);
    step.dispatch((long) step.numTokens() * matrix.rows() * matrix.cols(), this);
  }

  @Override
  public void run(int part, int numParts) {
    int rows = matrix.rows();
    int end = Step.begin(rows, part + 1, numParts);
    for (int from = Step.begin(rows, part, numParts); from < end; ) {
      int g = from / perGroup;
      int to = Math.min(end, (g + 1) * perGroup);
      matrix.multiply(from, to, groups[g], 0, step.numTokens(), out, 0, rows, step.lanes(part));
      from = to;
    }
  }
}
