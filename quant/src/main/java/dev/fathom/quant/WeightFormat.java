package dev.fathom.quant;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * How the elements of a weight matrix are stored, in a checkpoint or in memory.
 *
 * <p>Bits counts the elements alone; scales and zero points come on top and are described by the
 * {@link WeightLayout} of the matrix (for {@link #FP8_E4M3}: {@link BlockScaleLayout}).
 */
public enum WeightFormat {
  /** IEEE binary32, little endian. */
  F32(32, List.of("f32", "float32", "float")),
  /** IEEE binary16, little endian. */
  F16(16, List.of("f16", "float16", "half")),
  /** The upper 16 bits of a binary32, little endian; see {@link Bf16}. */
  BF16(16, List.of("bf16", "bfloat16")),
  /**
   * One byte an element, see {@link Fp8E4m3}, with a float32 multiplier for each block of rows and
   * columns.
   */
  FP8_E4M3(8, List.of("fp8", "fp8_e4m3", "f8_e4m3", "float8_e4m3fn")),
  /**
   * Integers of 8 bits with a scale, and perhaps a zero point, for each row or group of columns; in
   * memory {@link Int8Layout}, in checkpoints also {@link GptqLayout} and {@link PackedIntLayout}.
   */
  INT8(8, List.of("int8")),
  /**
   * Integers of 4 bits with a scale, and perhaps a zero point, for each group of columns; in memory
   * {@link Int4Layout}, in checkpoints {@link AwqLayout}, {@link GptqLayout} and {@link
   * PackedIntLayout}.
   */
  INT4(4, List.of("int4")),
  /** {@link E2m1} codes with an {@link E8m0} scale for each 32 columns; see {@link Mxfp4Layout}. */
  MXFP4(4, List.of("mxfp4", "fp4"));

  private final int bitsPerWeight;
  private final List<String> names;

  WeightFormat(int bitsPerWeight, List<String> names) {
    this.bitsPerWeight = bitsPerWeight;
    this.names = names;
  }

  /** Bits of one stored element, without its share of scales. */
  public int bitsPerWeight() {
    return bitsPerWeight;
  }

  /**
   * Bytes of a number of elements that lie one after the other, without scales.
   *
   * @throws IllegalArgumentException if {@code elements} is negative or does not fill whole bytes
   * @throws ArithmeticException if the result does not fit a long
   */
  public long bytes(long elements) {
    Checks.atLeast(0, "elements", elements);
    long bits = Math.multiplyExact(elements, (long) bitsPerWeight);
    if ((bits & 7) != 0) {
      throw new IllegalArgumentException(
          "must fill whole bytes: elements=" + elements + " of " + bitsPerWeight + " bits");
    }
    return bits >>> 3;
  }

  /**
   * True if each element stands for itself, so that nothing but its bits is needed to decode it.
   */
  public boolean isDense() {
    return this == F32 || this == F16 || this == BF16;
  }

  /**
   * The format with this name, in any case: the names of the enum, of safetensors ({@code
   * F8_E4M3}), of {@code torch_dtype} ({@code bfloat16}) and the short name that a user types
   * ({@code fp8}).
   *
   * @throws IllegalArgumentException if no format has this name; the message lists the known ones
   */
  public static WeightFormat fromName(String name) {
    String key = name.toLowerCase(Locale.ROOT);
    for (WeightFormat format : values()) {
      if (format.names.contains(key)) {
        return format;
      }
    }
    String known = Stream.of(values()).map(f -> f.names.get(0)).collect(Collectors.joining(", "));
    throw new IllegalArgumentException("must be one of " + known + ": weightFormat=" + name);
  }
}
