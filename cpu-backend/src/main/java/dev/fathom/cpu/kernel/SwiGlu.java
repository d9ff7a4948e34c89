package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

/** The gated activation silu(gate) * up with silu(x) = x / (1 + exp(-x)). */
public final class SwiGlu {

  private SwiGlu() {}

  /**
   * Computes out[off + i] = silu(gate[off + i]) * up[off + i] for len elements; an element has the
   * same bits wherever the range begins.
   */
  public static void run(float[] gate, float[] up, float[] out, int off, int len) {
    int i = off;
    int end = off + len;
    for (; i <= end - L; i += L) {
      FloatVector x = FloatVector.fromArray(F, gate, i);
      FloatVector silu = x.div(Exp.of(x.neg()).add(1f));
      silu.mul(FloatVector.fromArray(F, up, i)).intoArray(out, i);
    }
    for (; i < end; i++) {
      out[i] = gate[i] / (Exp.of(-gate[i]) + 1f) * up[i];
    }
  }
}
