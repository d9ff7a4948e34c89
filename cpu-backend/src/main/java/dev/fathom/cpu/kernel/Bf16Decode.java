package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.Bf16;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/** Widens stored bfloat16 to float32 in natural order; exact. */
public final class Bf16Decode {

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE);

  private Bf16Decode() {}

  /** Writes the len elements that begin at byte at of the segment to out[off, off + len). */
  public static void run(MemorySegment source, long at, float[] out, int off, int len) {
    MemorySegment elements = NativeMemory.of(source);
    int body = len - len % (2 * L);
    for (int i = 0; i < body; i += 2 * L) {
      IntVector pairs = IntVector.fromMemorySegment(I, elements, at + 2L * i, LITTLE);
      FloatVector even = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector odd = pairs.and(0xFFFF0000).reinterpretAsFloats();
      even.rearrange(Lanes.ZIP_LOW, odd).intoArray(out, off + i);
      even.rearrange(Lanes.ZIP_HIGH, odd).intoArray(out, off + i + L);
    }
    for (int i = body; i < len; i++) {
      out[off + i] = Bf16.decode(source.get(SHORT, at + 2L * i));
    }
  }
}
