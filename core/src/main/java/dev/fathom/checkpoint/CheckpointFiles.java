package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;

/** Opens and reads files of a checkpoint, and says in our words what went wrong. */
final class CheckpointFiles {
  /** What Git leaves in place of a large file that was not fetched. */
  static final byte[] LFS_POINTER =
      "version https://git-lfs.github.com/spec/v1".getBytes(StandardCharsets.US_ASCII);

  private CheckpointFiles() {}

  /** Attributes of a regular file, symbolic links followed. */
  static BasicFileAttributes attributes(Path file) {
    try {
      BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
      if (!attributes.isRegularFile()) {
        throw new CheckpointException(
            ErrorCode.CHECKPOINT_IO,
            "The file " + Text.quote(file.toString()) + " cannot be read",
            "it is not a regular file",
            "put the file itself there");
      }
      return attributes;
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  /** Opens for reading. */
  static FileChannel open(Path file) {
    try {
      return FileChannel.open(file, StandardOpenOption.READ);
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  /**
   * Reads up to the remaining bytes of the buffer at a position of the file.
   *
   * @return bytes read, fewer only where the file ends
   */
  static int read(Path file, FileChannel channel, ByteBuffer into, long position) {
    int start = into.position();
    try {
      while (into.hasRemaining()) {
        if (channel.read(into, position + into.position() - start) < 0) {
          break;
        }
      }
    } catch (IOException e) {
      throw failure(file, e);
    }
    return into.position() - start;
  }

  /**
   * Reads a whole small file: configuration, index, tokenizer.
   *
   * @throws CheckpointException if it is larger than {@code maxBytes}, a Git LFS pointer, or cannot
   *     be read
   */
  static byte[] readAll(Path file, long maxBytes) {
    long length = attributes(file).size();
    if (length > maxBytes) {
      throw new CheckpointException(
          ErrorCode.CHECKPOINT_FILE_TOO_LARGE,
          "The file " + Text.quote(file.toString()) + " is not read",
          "it must have at most " + maxBytes + " bytes: bytes=" + length,
          "put the file of the published model there");
    }
    try (FileChannel channel = open(file)) {
      ByteBuffer buffer = ByteBuffer.allocate(Math.toIntExact(length));
      int read = read(file, channel, buffer, 0);
      byte[] bytes =
          read == length ? buffer.array() : java.util.Arrays.copyOf(buffer.array(), read);
      rejectLfsPointer(file, bytes);
      return bytes;
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  /** Refuses what starts like a Git LFS pointer. */
  static void rejectLfsPointer(Path file, byte[] start) {
    if (start.length >= LFS_POINTER.length
        && java.util.Arrays.equals(
            start, 0, LFS_POINTER.length, LFS_POINTER, 0, LFS_POINTER.length)) {
      throw new CheckpointException(
          ErrorCode.CHECKPOINT_LFS_POINTER,
          "The file " + Text.quote(file.toString()) + " is a Git LFS pointer",
          "the repository was cloned without its large files",
          "run \"git lfs install\" and then \"git lfs pull\" in the folder of the model");
    }
  }

  /** Our words for a failure of the operating system. */
  static CheckpointException failure(Path file, IOException e) {
    String quoted = Text.quote(file.toString());
    return switch (e) {
      case NoSuchFileException x -> notFound(quoted, x);
      case FileNotFoundException x -> notFound(quoted, x);
      case AccessDeniedException x ->
          new CheckpointException(
              ErrorCode.CHECKPOINT_ACCESS_DENIED,
              quoted + " cannot be read",
              "this process has no permission to read it",
              "give its user read permission on the folder and its files, for example with \"chmod"
                  + " -R u+rX\"",
              x);
      case ClosedByInterruptException x ->
          new CheckpointException(
              ErrorCode.CHECKPOINT_IO,
              quoted + " was not read to its end",
              "the reading thread was interrupted",
              "load the model again and do not interrupt the thread",
              x);
      default ->
          new CheckpointException(
              ErrorCode.CHECKPOINT_IO,
              quoted + " cannot be read",
              "the operating system reports " + Text.quote(e.toString()),
              "check the disk or network share and load the model again",
              e);
    };
  }

  private static CheckpointException notFound(String quoted, IOException e) {
    return new CheckpointException(
        ErrorCode.CHECKPOINT_NOT_FOUND,
        quoted + " cannot be read",
        "there is no such file",
        "check the path, and that the model was downloaded completely",
        e);
  }
}
