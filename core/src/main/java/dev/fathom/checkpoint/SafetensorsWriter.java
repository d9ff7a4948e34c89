package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.json.JsonWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Writes a safetensors file: the header from what is known beforehand, then the tensors as they
 * come, so that memory for one piece is enough.
 *
 * <p>Everything goes to a hidden file beside the target, which gets its name by an atomic rename
 * when all is on disk: nobody ever sees half a file, and a reader of an older one keeps it. The
 * header is padded with spaces to 8 bytes, so tensors of one type are aligned.
 */
public final class SafetensorsWriter {
  /** The metadata that transformers asks for. */
  public static final Map<String, String> PYTORCH = Map.of("format", "pt");

  private static final int CHUNK = 1 << 20;

  private final Path part;
  private final FileChannel channel;
  private long position;

  private SafetensorsWriter(Path part, FileChannel channel) {
    this.part = part;
    this.channel = channel;
  }

  /**
   * Writes a file, replacing an existing one.
   *
   * @param file the target; its folder must exist
   * @param tensors in the order of their bytes, names unique
   * @param metadata for {@code __metadata__}; left out if empty
   * @param data gives the bytes
   * @throws CheckpointException if the disk is full or fails; the target is then as before
   */
  public static void write(
      Path file, List<TensorSpec> tensors, Map<String, String> metadata, TensorData data) {
    byte[] header = header(tensors, metadata);
    long dataBytes = tensors.stream().mapToLong(TensorSpec::byteLength).sum();
    checkSpace(file, Long.BYTES + header.length + dataBytes);
    replace(
        file,
        writer -> {
          writer.append(MemorySegment.ofArray(lengthField(header.length)));
          writer.append(MemorySegment.ofArray(header));
          for (TensorSpec tensor : tensors) {
            writer.tensor(tensor, data);
          }
        });
  }

  /** Writes a small file whole, by the same way. */
  static void write(Path file, byte[] bytes) {
    replace(file, writer -> writer.append(MemorySegment.ofArray(bytes)));
  }

  /** Appends the content of a file. */
  private interface Content {
    void appendTo(SafetensorsWriter writer) throws IOException;
  }

  private static void replace(Path file, Content content) {
    Path part = file.resolveSibling("." + file.getFileName() + ".part-" + UUID.randomUUID());
    try {
      try (FileChannel channel =
          FileChannel.open(part, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        content.appendTo(new SafetensorsWriter(part, channel));
        channel.force(true);
      }
      Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw failure(file, e);
    } finally {
      deletePart(part);
    }
  }

  private static void deletePart(Path part) {
    try {
      Files.deleteIfExists(part);
    } catch (IOException e) {
      // The file itself is written or the real failure is on its way: this one says nothing new.
      return;
    }
  }

  private static byte[] lengthField(long length) {
    return ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array();
  }

  /** The JSON header, padded with spaces to a multiple of 8. */
  static byte[] header(List<TensorSpec> tensors, Map<String, String> metadata) {
    StringBuilder out = new StringBuilder("{");
    if (!metadata.isEmpty()) {
      metadata(out, metadata);
    }
    Set<String> names = new HashSet<>();
    long offset = 0;
    for (TensorSpec tensor : tensors) {
      if (!names.add(tensor.name())) {
        throw new IllegalArgumentException("must not occur twice: name=" + tensor.name());
      }
      separate(out);
      JsonWriter.quote(out, tensor.name());
      out.append(":{\"dtype\":\"").append(tensor.dtype()).append("\",\"shape\":[");
      long[] shape = tensor.shape();
      for (int i = 0; i < shape.length; i++) {
        out.append(i == 0 ? "" : ",").append(shape[i]);
      }
      long end = Math.addExact(offset, tensor.byteLength());
      out.append("],\"data_offsets\":[").append(offset).append(',').append(end).append("]}");
      offset = end;
    }
    byte[] json = out.append('}').toString().getBytes(StandardCharsets.UTF_8);
    return padded(json);
  }

  private static byte[] padded(byte[] json) {
    byte[] header = java.util.Arrays.copyOf(json, json.length + (-json.length & 7));
    java.util.Arrays.fill(header, json.length, header.length, (byte) ' ');
    return header;
  }

  private static void metadata(StringBuilder out, Map<String, String> metadata) {
    out.append("\"__metadata__\":{");
    metadata.forEach((key, value) -> {
      separate(out);
      JsonWriter.quote(out, key);
      out.append(':');
      JsonWriter.quote(out, value);
    });
    out.append('}');
  }

  private static void separate(StringBuilder out) {
    if (out.charAt(out.length() - 1) != '{') {
      out.append(',');
    }
  }

  /**
   * Refuses to start what cannot end.
   *
   * @throws CheckpointException if the disk of the folder has less room than {@code bytes}
   */
  static void checkSpace(Path file, long bytes) {
    Path folder = file.toAbsolutePath().getParent();
    try {
      long usable = folder == null ? bytes : Files.getFileStore(folder).getUsableSpace();
      if (usable < bytes) {
        throw new CheckpointException(
            ErrorCode.WRITE_NO_SPACE,
            "The file " + Text.quote(file.toString()) + " is not written",
            "the disk must have room for it: bytes=" + bytes + " usable=" + usable,
            "free disk space or choose a folder on another disk");
      }
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  private static CheckpointException failure(Path file, IOException e) {
    return new CheckpointException(
        ErrorCode.WRITE_FAILED,
        "The file " + Text.quote(file.toString()) + " is not written",
        "the operating system reports " + Text.quote(e.toString()),
        "check that the folder exists, that this process may write to it and that the disk has room",
        e);
  }

  private void tensor(TensorSpec tensor, TensorData data) throws IOException {
    long start = position;
    data.write(
        tensor,
        bytes -> {
          if (bytes.byteSize() > tensor.byteLength() - (position - start)) {
            throw new IllegalStateException(
                "must not exceed the tensor's bytes: tensor="
                    + tensor
                    + (" bytes=" + tensor.byteLength()));
          }
          try {
            append(bytes);
          } catch (IOException e) {
            throw failure(part, e);
          }
        });
    if (position - start != tensor.byteLength()) {
      throw new IllegalStateException(
          "must give all of the tensor's bytes: tensor="
              + tensor
              + (" bytes=" + tensor.byteLength() + " given=" + (position - start)));
    }
  }

  private void append(MemorySegment bytes) throws IOException {
    if (bytes.isNative()) {
      appendNative(bytes);
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(Math.min(CHUNK, bytes.byteSize()));
      for (long done = 0; done < bytes.byteSize(); done += buffer.byteSize()) {
        MemorySegment part =
            buffer.asSlice(0, Math.min(buffer.byteSize(), bytes.byteSize() - done));
        appendNative(part.copyFrom(bytes.asSlice(done, part.byteSize())));
      }
    }
  }

  private void appendNative(MemorySegment bytes) throws IOException {
    for (long done = 0; done < bytes.byteSize(); done += CHUNK) {
      ByteBuffer piece =
          bytes.asSlice(done, Math.min(CHUNK, bytes.byteSize() - done)).asByteBuffer();
      while (piece.hasRemaining()) {
        position += channel.write(piece);
      }
    }
  }
}
