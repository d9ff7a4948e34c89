package dev.fathom.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.security.MessageDigest;

/**
 * Hashes a file from the bytes that pass by anyway.
 *
 * <p>SHA-256 needs the bytes in order: what continues the hashed prefix is hashed at once, what
 * lies further on is left, and {@link #position} says where somebody must read again to finish.
 * Readers that go through a file in order pay for no second read. Safe for several threads.
 */
final class FileHash {
  private static final int SLICE = 1 << 20;

  private final Path file;
  private final long fileLength;
  private final String expected;
  private final MessageDigest digest = Checksums.sha256();
  private long position;

  /** The hash of the whole file; empty until it is complete. */
  private byte[] actual = {};

  FileHash(Path file, long fileLength, String expected) {
    this.file = file;
    this.fileLength = fileLength;
    this.expected = expected;
  }

  /** Bytes hashed so far, from the start of the file. */
  synchronized long position() {
    return position;
  }

  /**
   * Hashes the part of the bytes that continues the prefix.
   *
   * @param offset of the bytes in the file
   * @throws dev.fathom.error.CheckpointException if this completes the file and the hash is wrong
   */
  synchronized void accept(long offset, MemorySegment bytes) {
    long end = offset + bytes.byteSize();
    if (offset > position || end <= position) {
      return;
    }
    while (position < end) {
      long length = Math.min(SLICE, end - position);
      digest.update(bytes.asSlice(position - offset, length).asByteBuffer());
      position += length;
    }
    if (position == fileLength) {
      actual = digest.digest();
      check();
    }
  }

  /**
   * Says again what completing the file said; nothing as long as it is incomplete.
   *
   * @throws dev.fathom.error.CheckpointException if the file is complete and its hash is wrong
   */
  synchronized void check() {
    if (actual.length > 0) {
      Checksums.compare(file, expected, actual);
    }
  }
}
