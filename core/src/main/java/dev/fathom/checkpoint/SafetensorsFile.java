package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One safetensors file: 8 bytes of header length (unsigned, little-endian), a JSON header, then the
 * bytes of the tensors.
 *
 * <p>Opening reads and checks the header and remembers what the file looked like, so that a later
 * change is noticed; nothing stays open. Immutable.
 */
public final class SafetensorsFile {
  private static final byte[] GGUF = "GGUF".getBytes(StandardCharsets.US_ASCII);

  private final Path path;
  private final long byteLength;
  private final long dataOffset;
  private final List<TensorInfo> tensors;
  private final Map<String, String> metadata;
  private final @Nullable Stamp stamp;

  /** What the file system said about the file when its header was read. */
  private record Stamp(long byteLength, FileTime modified, @Nullable Object key) {
    static Stamp of(BasicFileAttributes attributes) {
      return new Stamp(attributes.size(), attributes.lastModifiedTime(), attributes.fileKey());
    }
  }

  SafetensorsFile(
      Path path,
      long byteLength,
      long dataOffset,
      List<TensorInfo> tensors,
      Map<String, String> metadata) {
    this(path, byteLength, dataOffset, tensors, metadata, null);
  }

  private SafetensorsFile(
      Path path,
      long byteLength,
      long dataOffset,
      List<TensorInfo> tensors,
      Map<String, String> metadata,
      @Nullable Stamp stamp) {
    this.path = path;
    this.byteLength = byteLength;
    this.dataOffset = dataOffset;
    this.tensors = tensors;
    this.metadata = metadata;
    this.stamp = stamp;
  }

  /**
   * Reads and checks the header; allocates nothing before its length is known to be plausible.
   *
   * @throws CheckpointException if the file cannot be read or breaks a rule of the format
   */
  public static SafetensorsFile open(Path path) {
    Stamp stamp = Stamp.of(CheckpointFiles.attributes(path));
    try (FileChannel channel = CheckpointFiles.open(path)) {
      byte[] header = header(path, channel, stamp.byteLength);
      SafetensorsFile file = SafetensorsHeader.parse(path, header, stamp.byteLength);
      return new SafetensorsFile(
          path, file.byteLength, file.dataOffset, file.tensors, file.metadata, stamp);
    } catch (IOException e) {
      throw CheckpointFiles.failure(path, e);
    }
  }

  private static byte[] header(Path path, FileChannel channel, long fileLength) {
    ByteBuffer start = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    int numRead = CheckpointFiles.read(path, channel, start, 0);
    rejectOtherFormats(path, Arrays.copyOf(start.array(), numRead));
    if (numRead < Long.BYTES || fileLength < Long.BYTES) {
      throw SafetensorsHeader.fail(
          path,
          ErrorCode.SAFETENSORS_TOO_SHORT,
          "the file must have at least 8 bytes: bytes=" + fileLength);
    }
    long length = start.getLong(0);
    if (Long.compareUnsigned(length, SafetensorsHeader.MAX_BYTES) > 0) {
      throw SafetensorsHeader.fail(
          path,
          ErrorCode.SAFETENSORS_HEADER_TOO_LARGE,
          "the header must have at most 100000000 bytes: bytes=" + Long.toUnsignedString(length));
    }
    if (length > fileLength - Long.BYTES) {
      throw SafetensorsHeader.fail(
          path,
          ErrorCode.SAFETENSORS_HEADER_TRUNCATED,
          "the header must fit the file: header bytes="
              + length
              + (" bytes left=" + (fileLength - Long.BYTES)));
    }
    byte[] header = new byte[(int) length];
    int got = CheckpointFiles.read(path, channel, ByteBuffer.wrap(header), Long.BYTES);
    if (got < length) {
      throw SafetensorsHeader.fail(
          path,
          ErrorCode.SAFETENSORS_HEADER_TRUNCATED,
          "the header must fit the file: header bytes=" + length + " bytes left=" + got);
    }
    return header;
  }

  private static void rejectOtherFormats(Path path, byte[] start) {
    CheckpointFiles.rejectLfsPointer(path, start);
    if (start.length >= 4 && Arrays.equals(start, 0, 4, GGUF, 0, 4)) {
      throw CheckpointFolder.gguf(path);
    }
    if (isText(start)) {
      throw new CheckpointException(
          ErrorCode.SAFETENSORS_IS_TEXT,
          "The safetensors file " + Text.quote(path.toString()) + " is not usable",
          "it holds text instead of tensors: start="
              + Text.quote(new String(start, 0, Long.BYTES, StandardCharsets.US_ASCII)),
          "download the file again; a server that wants a login or lacks the file answers with a"
              + " page of text, look what it says");
    }
  }

  /** As the length of a header, eight letters would be far above what the format allows. */
  private static boolean isText(byte[] start) {
    for (int i = 0; i < Long.BYTES; i++) {
      boolean blank =
          i < start.length && (start[i] == '\n' || start[i] == '\r' || start[i] == '\t');
      if (i >= start.length || (!blank && (start[i] < 0x20 || start[i] > 0x7E))) {
        return false;
      }
    }
    return true;
  }

  /** Refuses to go on if the file is not the one whose header was read. */
  void checkUnchanged() {
    Stamp now = Stamp.of(CheckpointFiles.attributes(path));
    if (stamp == null || stamp.equals(now)) {
      return;
    }
    String why =
        stamp.byteLength != now.byteLength
            ? "its size must stay the same while the model loads: bytes="
                + (stamp.byteLength + " now=" + now.byteLength)
            : "it was replaced or written to while the model loads: modified="
                + (stamp.modified + " now=" + now.modified);
    throw new CheckpointException(
        ErrorCode.READ_FILE_CHANGED,
        "The file " + Text.quote(path.toString()) + " changed after its header was read",
        why,
        "load the model again; replace model files by renaming a complete one, never in place");
  }

  /** Where the file is. */
  public Path path() {
    return path;
  }

  /** Bytes of the whole file. */
  public long byteLength() {
    return byteLength;
  }

  /** Offset of the first tensor byte from the start of the file: 8 plus the header's length. */
  public long dataOffset() {
    return dataOffset;
  }

  /** The tensors in the order of their bytes. */
  public List<TensorInfo> tensors() {
    return tensors;
  }

  /** The entries of {@code __metadata__} in file order; empty if there are none. */
  public Map<String, String> metadata() {
    return metadata;
  }
}
