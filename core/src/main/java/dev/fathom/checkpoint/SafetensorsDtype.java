package dev.fathom.checkpoint;

import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The data types that a safetensors header can name; the constants are spelled as in the file.
 *
 * <p>Values are little-endian. The four types below one byte are packed without gaps, so a tensor
 * must have a whole number of bytes.
 */
public enum SafetensorsDtype {
  /** One byte, 0 or 1. */
  BOOL(8),
  /** E2M1, two values a byte. */
  F4(4),
  /** E2M3, four values in three bytes. */
  F6_E2M3(6),
  /** E3M2, four values in three bytes. */
  F6_E3M2(6),
  /** Unsigned byte. */
  U8(8),
  /** Signed byte. */
  I8(8),
  /** IEEE-like 8-bit float with infinities. */
  F8_E5M2(8),
  /** E4M3FN: no infinities, largest value 448. */
  F8_E4M3(8),
  /** A power of two: 2^(byte - 127). */
  F8_E8M0(8),
  /** E4M3 without negative zero and infinities. */
  F8_E4M3FNUZ(8),
  /** E5M2 without negative zero and infinities. */
  F8_E5M2FNUZ(8),
  /** Signed 16-bit integer. */
  I16(16),
  /** Unsigned 16-bit integer. */
  U16(16),
  /** IEEE half precision. */
  F16(16),
  /** The upper half of an IEEE single. */
  BF16(16),
  /** Signed 32-bit integer. */
  I32(32),
  /** Unsigned 32-bit integer. */
  U32(32),
  /** IEEE single precision. */
  F32(32),
  /** Complex: two IEEE singles. */
  C64(64),
  /** IEEE double precision. */
  F64(64),
  /** Signed 64-bit integer. */
  I64(64),
  /** Unsigned 64-bit integer. */
  U64(64);

  private static final Map<String, SafetensorsDtype> BY_NAME =
      Stream.of(values()).collect(Collectors.toUnmodifiableMap(Enum::name, Function.identity()));

  private final int bits;

  SafetensorsDtype(int bits) {
    this.bits = bits;
  }

  /** Bits of one value: 4, 6, 8, 16, 32 or 64. */
  public int bits() {
    return bits;
  }

  /** The type of this name as a header spells it, or null if there is none. */
  public static @Nullable SafetensorsDtype named(String name) {
    return BY_NAME.get(name);
  }

  /**
   * Bytes of a tensor.
   *
   * @param numElements at least 0
   * @throws ArithmeticException if the bits exceed a long or are no whole number of bytes
   */
  public long byteLength(long numElements) {
    long numBits = Math.multiplyExact(numElements, bits);
    if ((numBits & 7) != 0) {
      throw new ArithmeticException("must be a whole number of bytes: bits=" + numBits);
    }
    return numBits >>> 3;
  }
}
