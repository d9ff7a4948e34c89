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

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE);

  private Bf16Decode() {}

  /** Writes the len elements that begin at byte at of the segment to out[off, off + len). */
  public static void run(MemorySegment source, long at, float[] out, int off, int len) {
    int body = len - len % (2 * L);
    if (ScalarStart.isOn()) {
      scalar(source, at, out, off, body);
      tail(source, at, out, off, body, len);
      return;
    }
    MemorySegment elements = NativeMemory.of(source);
    for (int i = 0; i < body; i += 2 * L) {
      IntVector pairs = IntVector.fromMemorySegment(I, elements, at + 2L * i, LITTLE);
      FloatVector even = pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector odd = pairs.and(0xFFFF0000).reinterpretAsFloats();
      even.rearrange(Lanes.ZIP_LOW, odd).intoArray(out, off + i);
      even.rearrange(Lanes.ZIP_HIGH, odd).intoArray(out, off + i + L);
    }
    tail(source, at, out, off, body, len);
  }

  private static void scalar(MemorySegment source, long at, float[] out, int off, int body) {
    // Pairs go to the end of their place and are read before they are overwritten.
    int pairs = off + body / 2;
    MemorySegment.copy(source, FLOAT, at, out, pairs, body / 2);
    for (int i = 0; i < body / 2; i++) {
      int pair = Float.floatToRawIntBits(out[pairs + i]);
      out[off + 2 * i] = Float.intBitsToFloat(pair << 16);
      out[off + 2 * i + 1] = Float.intBitsToFloat(pair & 0xFFFF0000);
    }
  }

  private static void tail(MemorySegment source, long at, float[] out, int off, int body, int len) {
    for (int i = body; i < len; i++) {
      out[off + i] = Bf16.decode(source.get(SHORT, at + 2L * i));
    }
  }
}
