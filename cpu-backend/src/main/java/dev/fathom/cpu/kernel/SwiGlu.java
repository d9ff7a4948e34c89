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
   *
   * @param out may be gate or up
   * @param lanes {@link Lanes#scratchLen()} floats of scratch
   */
  public static void run(float[] gate, float[] up, float[] out, int off, int len, float[] lanes) {
    int most = Lanes.scratchLen();
    for (int done = 0; done < len; done += most) {
      int m = Math.min(most, len - done);
      Exp.run(gate, off + done, -1f, 0f, lanes, 0, m);
      combine(gate, up, out, off + done, m, lanes);
    }
  }

  private static void combine(
      float[] gate, float[] up, float[] out, int off, int len, float[] exponentials) {
    int i = 0;
    for (; i <= len - L; i += L) {
      FloatVector x = FloatVector.fromArray(F, gate, off + i);
      FloatVector silu = x.div(FloatVector.fromArray(F, exponentials, i).add(1f));
      silu.mul(FloatVector.fromArray(F, up, off + i)).intoArray(out, off + i);
    }
    for (; i < len; i++) {
      out[off + i] = gate[off + i] / (exponentials[i] + 1f) * up[off + i];
    }
  }
}
