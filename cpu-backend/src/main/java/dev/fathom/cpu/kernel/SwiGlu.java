package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import jdk.incubator.vector.FloatVector;

/**
 * The gated activation silu(min(gate, limit)) * clamp(up, -limit, limit) with silu(x) = x / (1 +
 * exp(-x)).
 */
public final class SwiGlu {

  private SwiGlu() {}

  /**
   * Computes out[off + i] = silu(min(gate[off + i], limit)) * clamp(up[off + i], -limit, limit) for
   * len elements; an element has the same bits wherever the range begins.
   *
   * @param limit positive infinity where nothing is clamped
   * @param out may be gate or up
   * @param lanes {@link Lanes#scratchLen()} floats of scratch
   */
  public static void run(
      float[] gate, float[] up, float limit, float[] out, int off, int len, float[] lanes) {
    int most = Lanes.scratchLen();
    for (int done = 0; done < len; done += most) {
      int m = Math.min(most, len - done);
      Exp.run(gate, off + done, -1f, 0f, lanes, 0, m);
      combine(gate, up, limit, out, off + done, m, lanes);
    }
  }

  private static void combine(
      float[] gate, float[] up, float limit, float[] out, int off, int len, float[] exponentials) {
    // The exponential falls, so that of the clamped gate is the larger of two.
    float least = Exp.of(-limit);
    int i = 0;
    int last = ScalarStart.lastVector(len);
    for (; i <= last; i += L) {
      FloatVector x = FloatVector.fromArray(F, gate, off + i).min(limit);
      FloatVector divisor = FloatVector.fromArray(F, exponentials, i).max(least).add(1f);
      FloatVector u = FloatVector.fromArray(F, up, off + i).min(limit).max(-limit);
      x.div(divisor).mul(u).intoArray(out, off + i);
    }
    for (; i < len; i++) {
      float u = Math.max(Math.min(up[off + i], limit), -limit);
      float divisor = Math.max(exponentials[i], least) + 1f;
      out[off + i] = Math.min(gate[off + i], limit) / divisor * u;
    }
  }
}
