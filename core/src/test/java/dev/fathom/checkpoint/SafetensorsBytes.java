package dev.fathom.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** Makes safetensors files by hand, also wrong ones. */
final class SafetensorsBytes {
  private SafetensorsBytes() {}

  /** Length field, header and zeros as data. */
  static byte[] file(String header, int dataBytes) {
    return file(header.getBytes(UTF_8), dataBytes);
  }

  static byte[] file(byte[] header, int dataBytes) {
    return withLength(header.length, header, dataBytes);
  }

  /** With a length field that may lie. */
  static byte[] withLength(long length, byte[] header, int dataBytes) {
    return ByteBuffer.allocate(8 + header.length + dataBytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(length)
        .put(header)
        .array();
  }

  /** One field of a header. */
  static String tensor(String name, String dtype, String shape, String offsets) {
    return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}"
        .formatted(name, dtype, shape, offsets);
  }

  static Path write(Path file, byte[] bytes) {
    try {
      return Files.write(file, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
