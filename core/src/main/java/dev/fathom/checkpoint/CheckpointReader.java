package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Copies tensors into memory that the caller owns, so that nothing that happens to the files later
 * can touch the running model.
 *
 * <p>Files listed in {@code checksums.sha256} are hashed from the bytes that are read: for free
 * when the tensors of a file are read in the order of {@link SafetensorsFile#tensors}. {@link
 * #verify} reads what is still missing; call it at the end of loading. Several threads may read at
 * once; an interrupt of one of them closes the file it reads for all.
 */
public final class CheckpointReader implements AutoCloseable {
  private static final long CHUNK = 8 << 20;

  private final Map<Path, SafetensorsFile> files = new HashMap<>();
  private final Checksums checksums;
  private final ReadProgress progress;
  private final Map<Path, OpenFile> open = new HashMap<>();
  private boolean closed;

  /** A file that is being read; the hash is null if none is expected. */
  private record OpenFile(SafetensorsFile file, FileChannel channel, @Nullable FileHash hash) {}

  CheckpointReader(Collection<SafetensorsFile> files, Checksums checksums, ReadProgress progress) {
    for (SafetensorsFile file : files) {
      this.files.put(file.path(), file);
    }
    this.checksums = checksums;
    this.progress = progress;
  }

  /** Reads tensors of files without checksums; for files that are no checkpoint. */
  public static CheckpointReader of(Collection<SafetensorsFile> files, ReadProgress progress) {
    return new CheckpointReader(files, Checksums.NONE, progress);
  }

  /**
   * Reads a whole tensor.
   *
   * @param tensor of this checkpoint
   * @param target of exactly the tensor's bytes, writable; native memory is filled without a copy
   * @throws CheckpointException if the file changed, ends early, cannot be read, or is complete and
   *     has the wrong hash
   */
  public void read(TensorInfo tensor, MemorySegment target) {
    if (target.byteSize() != tensor.byteLength()) {
      throw new IllegalArgumentException(
          "must have the tensor's bytes: target="
              + target.byteSize()
              + " tensor="
              + tensor.byteLength());
    }
    readRange(tensor, 0, target);
  }

  /**
   * Reads a part of a tensor, as a rank of a parallel model needs it.
   *
   * @param tensor of this checkpoint
   * @param fromByte first byte inside the tensor
   * @param target takes as many bytes as it has
   * @throws CheckpointException as {@link #read}
   */
  public void readRange(TensorInfo tensor, long fromByte, MemorySegment target) {
    if (fromByte < 0 || fromByte > tensor.byteLength() - target.byteSize()) {
      throw new IllegalArgumentException(
          "must lie inside the tensor: fromByte="
              + fromByte
              + (" target=" + target.byteSize() + " tensor=" + tensor.byteLength()));
    }
    if (target.byteSize() == 0) {
      return;
    }
    OpenFile from = file(tensor.file());
    long read = readFully(from, tensor.offset() + fromByte, target);
    if (read < target.byteSize()) {
      throw truncated(from.file, " tensor=" + Text.quote(tensor.name()), target.byteSize(), read);
    }
  }

  /**
   * Finishes the hashes of all files that {@code checksums.sha256} lists, reading what was not read
   * in order, and checks that no file that was read has changed meanwhile.
   *
   * @throws CheckpointException if a hash is wrong or a file changed
   */
  public void verify() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = MemorySegment.NULL;
      for (SafetensorsFile file : files.values()) {
        if (checksums.expected(file.path()) == null) {
          continue;
        }
        if (buffer.byteSize() == 0) {
          buffer = arena.allocate(CHUNK);
        }
        finishHash(file(file.path()), buffer);
      }
    }
    for (OpenFile file : opened()) {
      file.file.checkUnchanged();
    }
  }

  private void finishHash(OpenFile from, MemorySegment buffer) {
    FileHash hash = from.hash;
    if (hash == null) {
      return;
    }
    while (hash.position() < from.file.byteLength()) {
      long position = hash.position();
      MemorySegment part =
          buffer.asSlice(0, Math.min(buffer.byteSize(), from.file.byteLength() - position));
      long read = readFully(from, position, part);
      if (read < part.byteSize()) {
        throw truncated(from.file, "", part.byteSize(), read);
      }
    }
    hash.check();
  }

  /** Closes the files; idempotent. Segments that were read stay valid: they are the caller's. */
  @Override
  public synchronized void close() {
    closed = true;
    for (OpenFile file : open.values()) {
      try {
        file.channel.close();
      } catch (IOException e) {
        // Read-only: nothing can be lost, and there is nothing that a caller could do about it.
        continue;
      }
    }
    open.clear();
  }

  private synchronized Collection<OpenFile> opened() {
    return java.util.List.copyOf(open.values());
  }

  private synchronized OpenFile file(Path path) {
    if (closed) {
      throw new IllegalStateException("must not be closed: reader");
    }
    OpenFile known = open.get(path);
    if (known != null) {
      return known;
    }
    SafetensorsFile file = files.get(path);
    if (file == null) {
      throw new IllegalArgumentException("must be a file of this checkpoint: file=" + path);
    }
    file.checkUnchanged();
    String expected = checksums.expected(path);
    FileHash hash = expected == null ? null : new FileHash(path, file.byteLength(), expected);
    OpenFile opened = new OpenFile(file, CheckpointFiles.open(path), hash);
    open.put(path, opened);
    if (hash != null) {
      hashHeader(opened);
    }
    return opened;
  }

  private void hashHeader(OpenFile opened) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment header = arena.allocate(opened.file.dataOffset());
      long read = readFully(opened, 0, header);
      if (read < header.byteSize()) {
        throw truncated(opened.file, "", header.byteSize(), read);
      }
    }
  }

  /** Reads in chunks, hashes and reports them; returns fewer bytes only where the file ends. */
  private long readFully(OpenFile from, long offset, MemorySegment target) {
    if (target.isNative()) {
      return readNative(from, offset, target);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(Math.min(CHUNK, target.byteSize()));
      long done = 0;
      while (done < target.byteSize()) {
        MemorySegment part =
            buffer.asSlice(0, Math.min(buffer.byteSize(), target.byteSize() - done));
        long read = readNative(from, offset + done, part);
        MemorySegment.copy(part, 0, target, done, read);
        done += read;
        if (read < part.byteSize()) {
          break;
        }
      }
      return done;
    }
  }

  private long readNative(OpenFile from, long offset, MemorySegment target) {
    long done = 0;
    while (done < target.byteSize()) {
      MemorySegment part = target.asSlice(done, Math.min(CHUNK, target.byteSize() - done));
      int read =
          CheckpointFiles.read(from.file.path(), from.channel, part.asByteBuffer(), offset + done);
      if (read > 0) {
        if (from.hash != null) {
          from.hash.accept(offset + done, part.asSlice(0, read));
        }
        progress.onBytes(read);
      }
      done += read;
      if (read < part.byteSize()) {
        break;
      }
    }
    return done;
  }

  private static CheckpointException truncated(
      SafetensorsFile file, String tensor, long expected, long actual) {
    return new CheckpointException(
        ErrorCode.READ_TRUNCATED,
        "The file " + Text.quote(file.path().toString()) + " ended while it was read",
        "it was cut short after its header was read:"
            + tensor
            + (" expected bytes=" + expected + " actual=" + actual),
        "load the model again; replace model files by renaming a complete one, never in place");
  }
}
