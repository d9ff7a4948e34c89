package dev.fathom.cpu;

import dev.fathom.backend.PlacedWeight;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.RowReader;

/**
 * A placed weight.
 *
 * @param ref which weight this is
 * @param matrix its kernel view
 * @param rows reads rows as float32 in natural order
 */
record CpuWeight(WeightRef ref, Matrix matrix, RowReader rows) implements PlacedWeight {

  /** Returns the first row as float32: norms and biases. */
  float[] vector() {
    float[] values = new float[matrix.cols()];
    rows.read(0, values, 0);
    return values;
  }
}
