package dev.fathom.kvcache;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** How the elements of a key-value cache are stored. */
public enum KvFormat {
  /** IEEE binary32. */
  F32(4, List.of("f32", "float32", "float")),
  /** The upper 16 bits of a binary32. */
  BF16(2, List.of("bf16", "bfloat16")),
  /**
   * 8 bits with 3 of mantissa and a float32 scale for each group of at most 128 elements; a rotated
   * key beside a latent stays bf16. A latent row of 512 + 64 elements takes 656 bytes.
   */
  FP8_E4M3(1, List.of("fp8_e4m3", "fp8", "e4m3")),
  /** 8 bits with 2 of mantissa and no scale: less exact, the smallest. */
  FP8_E5M2(1, List.of("fp8_e5m2", "e5m2"));

  private final int bytesPerElement;
  private final List<String> names;

  KvFormat(int bytesPerElement, List<String> names) {
    this.bytesPerElement = bytesPerElement;
    this.names = names;
  }

  /** Whether elements take a byte each, so that rows are written and read as a whole. */
  public boolean isByte() {
    return bytesPerElement == 1;
  }

  /** Bytes of one stored element, without scales. */
  public int bytesPerElement() {
    return bytesPerElement;
  }

  /**
   * The format with this name, in any case.
   *
   * @throws IllegalArgumentException if no format has this name; the message lists the known ones
   */
  public static KvFormat fromName(String name) {
    String key = name.toLowerCase(Locale.ROOT);
    for (KvFormat format : values()) {
      if (format.names.contains(key)) {
        return format;
      }
    }
    String known = Stream.of(values()).map(f -> f.names.get(0)).collect(Collectors.joining(", "));
    throw new IllegalArgumentException("must be one of " + known + ": kvFormat=" + name);
  }
}
