package dev.fathom.cpu;

import dev.fathom.backend.Adapter;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.program.Lead;
import dev.fathom.program.Op;
import org.jspecify.annotations.Nullable;

/** out = in * W^T + bias; each thread has a range of W's rows. */
final class LinearOperation implements Operation, ThreadTeam.RangeWork {

  private final Op.Linear op;
  private final Matrix matrix;
  private final float @Nullable [] bias;
  private final Step step;
  private final Adapters adapters;
  private final Adapters.Site site;
  private final ThreadTeam.Work addAdapters = this::addAdapters;
  private final float[] in;
  private final float[] out;
  private final Vectors vectors;

  LinearOperation(
      Op.Linear op, Matrix matrix, float @Nullable [] bias, Step step, Adapters adapters) {
    this.op = op;
    this.matrix = matrix;
    this.bias = bias;
    this.step = step;
    this.adapters = adapters;
    this.site = adapters.site(op.weight());
    this.in = step.data(op.input());
    this.out = step.data(op.result());
    this.vectors = step.inputs(matrix.order(), in, matrix.cols());
  }

  @Override
  public void run() {
    arrange();
    step.dispatch(products(), rows(), grain(), this);
    finish();
  }

  /** Returns whether what {@link #arrange} does for this operation serves the other one too. */
  boolean sharesInput(LinearOperation other) {
    return op.input().equals(other.op.input()) && matrix.order() == other.matrix.order();
  }

  int rows() {
    return matrix.rows();
  }

  /** Returns the rows that belong to one thread together. */
  int grain() {
    return step.grain(step.vectors(op.input()));
  }

  long products() {
    return (long) step.vectors(op.input()) * matrix.rows() * matrix.cols();
  }

  /** Brings the input into the form that the matrix takes; before {@link #run(int, int, int)}. */
  void arrange() {
    int n = step.vectors(op.input());
    if (step.roundsFor(n)) {
      step.round(in, matrix.cols(), step.identity(), n);
    } else {
      step.arrange(matrix.order(), in, matrix.cols(), step.identity(), n);
    }
  }

  /** Adds what adapters give, after all rows. */
  void finish() {
    int n = step.vectors(op.input());
    if (adapters.areActive() && op.input().shape().lead() == Lead.TOKENS) {
      step.dispatch((long) n * (matrix.rows() + matrix.cols()), addAdapters);
    }
  }

  @Override
  public void run(int from, int to, int part) {
    int rows = matrix.rows();
    int n = step.vectors(op.input());
    if (step.roundsFor(n)) {
      step.multiplyRounded(matrix, from, to, 0, n, out, 0, rows, part);
    } else {
      matrix.multiply(from, to, vectors, 0, n, out, 0, rows, step.lanes(part));
    }
    float[] offsets = bias;
    if (offsets != null) {
      for (int i = 0; i < n; i++) {
        for (int r = from; r < to; r++) {
          out[i * rows + r] += offsets[r];
        }
      }
    }
  }

  private void addAdapters(int part, int numParts) {
    int n = step.vectors(op.input());
    int perToken = n / step.numTokens();
    for (int i = Step.begin(n, part, numParts); i < Step.begin(n, part + 1, numParts); i++) {
      Adapter.Delta delta = site.of(step.batch(), step.batch().sequenceOf(i / perToken));
      if (delta != null) {
        adapters.add(delta, delta.scale(), in, i * matrix.cols(), out, i * matrix.rows(), part);
      }
    }
  }
}
