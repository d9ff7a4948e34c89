package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;

/**
 * Rounds float32 to bfloat16, to nearest and ties away from zero, in natural order. A NaN stays one
 * unless its 16 highest mantissa bits are all ones, which no operation makes.
 */
public final class Bf16Round {

  /** What brings the upper half of a float to the nearest one. */
  static final int HALF = 0x8000;

  static final int HIGH = 0xFFFF0000;

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE);

  private static final VectorShuffle<Float> EVEN = VectorShuffle.makeUnzip(F, 0);
  private static final VectorShuffle<Float> ODD = VectorShuffle.makeUnzip(F, 1);

  private Bf16Round() {}

  /** Writes in[off, off + len) to the bytes [at, at + 2 len) of a native segment. */
  public static void run(float[] in, int off, MemorySegment target, long at, int len) {
    MemorySegment out = NativeMemory.of(target);
    int body = len - len % (2 * L);
    for (int i = 0; i < body; i += 2 * L) {
      FloatVector low = FloatVector.fromArray(F, in, off + i);
      FloatVector high = FloatVector.fromArray(F, in, off + i + L);
      IntVector even = low.rearrange(EVEN, high).reinterpretAsInts().add(HALF);
      IntVector odd = low.rearrange(ODD, high).reinterpretAsInts().add(HALF);
      even.lanewise(VectorOperators.LSHR, 16)
          .or(odd.and(HIGH))
          .intoMemorySegment(out, at + 2L * i, LITTLE);
    }
    for (int i = body; i < len; i++) {
      int bits = Float.floatToRawIntBits(in[off + i]) + HALF;
      out.set(SHORT, at + 2L * i, (short) (bits >>> 16));
    }
  }
}
