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
  BF16(2, List.of("bf16", "bfloat16"));

  private final int bytesPerElement;
  private final List<String> names;

  KvFormat(int bytesPerElement, List<String> names) {
    this.bytesPerElement = bytesPerElement;
    this.names = names;
  }

  /** Bytes of one stored element. */
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
