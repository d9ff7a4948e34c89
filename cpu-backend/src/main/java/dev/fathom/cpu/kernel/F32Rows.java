package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Copies short rows of float32 that lie apart; a call of the JDK for each costs more than a row.
 */
public final class F32Rows {

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE);

  private F32Rows() {}

  /**
   * Writes n rows of len elements to out[off, off + n * len), one after the other.
   *
   * @param source native memory
   * @param at byte of the first row
   * @param stride bytes from one row to the next
   */
  public static void read(
      MemorySegment source, long at, long stride, int n, int len, float[] out, int off) {
    MemorySegment rows = NativeMemory.of(source);
    int last = ScalarStart.lastVector(len);
    for (int i = 0; i < n; i++) {
      long row = at + i * stride;
      int to = off + i * len;
      int c = 0;
      for (; c <= last; c += L) {
        FloatVector.fromMemorySegment(F, rows, row + 4L * c, LITTLE).intoArray(out, to + c);
      }
      if (c < len) {
        MemorySegment.copy(source, FLOAT, row + 4L * c, out, to + c, len - c);
      }
    }
  }
}
