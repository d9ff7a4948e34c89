package dev.fathom.engine;

import dev.fathom.checkpoint.TensorInfo;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Finds scales that are infinite or not a number, by their exponent's bits. */
final class FiniteScales {

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private FiniteScales() {}

  /**
   * Checks scales of type F32, F16, BF16, or E8M0 under its name or as U8.
   *
   * @throws dev.fathom.error.ModelConfigException (2012) naming the first that is not finite
   */
  static void check(TensorInfo tensor, MemorySegment bytes) {
    long bad =
        switch (tensor.dtype()) {
          case F32 -> firstInt(bytes, 0x7F80_0000);
          case F16 -> firstShort(bytes, 0x7C00);
          case BF16 -> firstShort(bytes, 0x7F80);
          default -> firstByte(bytes);
        };
    if (bad >= 0) {
      throw StoredWeight.mismatch(
          tensor, "expected finite scales, got an infinity or NaN: element=" + bad);
    }
  }

  private static long firstInt(MemorySegment bytes, int exponent) {
    for (long at = 0; at < bytes.byteSize(); at += Integer.BYTES) {
      if ((bytes.get(INT, at) & exponent) == exponent) {
        return at / Integer.BYTES;
      }
    }
    return -1;
  }

  private static long firstShort(MemorySegment bytes, int exponent) {
    for (long at = 0; at < bytes.byteSize(); at += Short.BYTES) {
      if ((bytes.get(SHORT, at) & exponent) == exponent) {
        return at / Short.BYTES;
      }
    }
    return -1;
  }

  /** The exponent 255 of E8M0 is NaN. */
  private static long firstByte(MemorySegment bytes) {
    for (long at = 0; at < bytes.byteSize(); at++) {
      if (bytes.get(ValueLayout.JAVA_BYTE, at) == (byte) 0xFF) {
        return at;
      }
    }
    return -1;
  }
}
