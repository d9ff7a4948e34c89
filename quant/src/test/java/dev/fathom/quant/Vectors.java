package dev.fathom.quant;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Inputs that several tests share. */
final class Vectors {
  static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Vectors() {}

  /** factor · sin(step · (i + 1)), the vector s(n, step, 0) of the test vectors. */
  static float[] sines(int n, double step, double factor) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) (factor * Math.sin(step * (i + 1)));
    }
    return values;
  }

  static float maxMagnitude(float[] values) {
    float max = 0;
    for (float value : values) {
      max = Math.max(max, Math.abs(value));
    }
    return max;
  }

  /** Native memory that starts at an odd address. */
  static MemorySegment odd(Arena arena, long bytes) {
    return arena.allocate(bytes + 1, 8).asSlice(1);
  }
}
