package dev.fathom.spill;

import dev.fathom.kvcache.BlockKey;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * The file of a block:
 *
 * <pre>
 *   32 bytes   SHA-256 of format, fingerprint, tenant, unit, group, index and length: what it is
 *   n bytes    the block, as the backend exported it
 *   32 bytes   SHA-256 of all before it
 * </pre>
 */
final class BlockRecord {

  private static final String FORMAT = "fathom-kv-block-1";
  private static final int DIGEST = 32;
  private static final int PIECE = 1 << 20;

  private BlockRecord() {}

  /** Bytes of the file of a block of so many. */
  static long fileBytes(long blockBytes) {
    return Math.addExact(blockBytes, 2L * DIGEST);
  }

  private static MessageDigest sha() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  private static byte[] head(String fingerprint, BlockKey key, long bytes) {
    String text =
        String.join(
            " ",
            FORMAT,
            fingerprint,
            FolderScan.tenantName(key.scope()),
            FolderScan.fileName(key),
            Long.toString(bytes));
    return sha().digest(text.getBytes(StandardCharsets.UTF_8));
  }

  static void write(Path file, String fingerprint, BlockKey key, MemorySegment bytes)
      throws IOException {
    try (FileChannel out =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      MessageDigest sha = sha();
      byte[] head = head(fingerprint, key, bytes.byteSize());
      sha.update(head);
      writeAll(out, ByteBuffer.wrap(head));
      for (long at = 0; at < bytes.byteSize(); at += PIECE) {
        ByteBuffer piece = piece(bytes, at);
        sha.update(piece.duplicate());
        writeAll(out, piece);
      }
      writeAll(out, ByteBuffer.wrap(sha.digest()));
    }
  }

  private static ByteBuffer piece(MemorySegment bytes, long at) {
    return bytes.asSlice(at, Math.min(PIECE, bytes.byteSize() - at)).asByteBuffer();
  }

  private static void writeAll(FileChannel out, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  /** Returns whether a file is there and just as {@link #write} wrote it under these names. */
  static boolean read(Path file, String fingerprint, BlockKey key, MemorySegment target)
      throws IOException {
    try (FileChannel in = FileChannel.open(file, StandardOpenOption.READ)) {
      if (in.size() != fileBytes(target.byteSize())) {
        return false;
      }
      MessageDigest sha = sha();
      ByteBuffer digest = ByteBuffer.allocate(DIGEST);
      readAll(in, digest);
      if (!MessageDigest.isEqual(digest.array(), head(fingerprint, key, target.byteSize()))) {
        return false;
      }
      sha.update(digest.array());
      for (long at = 0; at < target.byteSize(); at += PIECE) {
        ByteBuffer piece = piece(target, at);
        readAll(in, piece.duplicate());
        sha.update(piece);
      }
      digest.clear();
      readAll(in, digest);
      return MessageDigest.isEqual(digest.array(), sha.digest());
    } catch (EOFException | NoSuchFileException e) {
      return false;
    }
  }

  private static void readAll(FileChannel in, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      if (in.read(bytes) < 0) {
        throw new EOFException();
      }
    }
  }
}
