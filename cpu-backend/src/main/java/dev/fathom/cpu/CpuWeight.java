package dev.fathom.cpu;

import dev.fathom.backend.PlacedWeight;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;

/**
 * A weight where the checkpoint put it, and the kernel that streams it.
 *
 * @param ref which weight this is
 * @param source its stored bytes
 * @param matrix its kernel view
 */
record CpuWeight(WeightRef ref, WeightMatrix source, Matrix matrix) implements PlacedWeight {

  /** Returns the first row as float32: norms and biases. */
  float[] vector() {
    float[] values = new float[source.cols()];
    source.decodeRow(0, values, 0);
    return values;
  }
}
