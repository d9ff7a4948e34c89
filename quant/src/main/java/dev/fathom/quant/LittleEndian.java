package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Numbers as checkpoints store them: little endian, at any alignment. */
final class LittleEndian {
  static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private LittleEndian() {}

  /** Element {@code index} of a run of F32, F16 or BF16 numbers, exactly. */
  static float get(MemorySegment numbers, WeightFormat format, long index) {
    return switch (format) {
      case F32 -> numbers.getAtIndex(FLOAT, index);
      case F16 -> Float.float16ToFloat(numbers.getAtIndex(SHORT, index));
      case BF16 -> Bf16.decode(numbers.getAtIndex(SHORT, index));
      default -> throw notDense(format);
    };
  }

  /** Stores a number rounded to nearest even. */
  static void set(MemorySegment numbers, WeightFormat format, long index, float value) {
    switch (format) {
      case F32 -> numbers.setAtIndex(FLOAT, index, value);
      case F16 -> numbers.setAtIndex(SHORT, index, Float.floatToFloat16(value));
      case BF16 -> numbers.setAtIndex(SHORT, index, Bf16.encode(value));
      default -> throw notDense(format);
    }
  }

  static IllegalArgumentException notDense(WeightFormat format) {
    return new IllegalArgumentException("must be F32, F16 or BF16: format=" + format);
  }
}
