package dev.fathom.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;

/**
 * Tensors as views of mapped files: nothing is copied, the page cache is the model's memory.
 *
 * <p><b>Risk.</b> If a mapped file is truncated, or its disk or network share fails, while vector
 * or native code reads it, the operating system kills the whole process; no exception is thrown.
 * Use {@link CheckpointReader} unless the files are certain to stay. Checksums are not looked at.
 *
 * <p>Each file is mapped once, when its first tensor is asked for. The arena's owner closes the
 * mappings; it must be a shared one if several threads use the views. Safe for several threads.
 */
public final class MappedCheckpoint {
  private final Arena arena;
  private final Map<Path, SafetensorsFile> files = new HashMap<>();
  private final Map<Path, MemorySegment> mapped = new HashMap<>();

  /**
   * Maps nothing yet.
   *
   * @param files whose tensors will be asked for
   * @param arena that owns the mappings
   */
  public MappedCheckpoint(Collection<SafetensorsFile> files, Arena arena) {
    this.arena = arena;
    for (SafetensorsFile file : files) {
      this.files.put(file.path(), file);
    }
  }

  /**
   * The bytes of a tensor: read-only, little-endian, of any alignment.
   *
   * @throws dev.fathom.error.CheckpointException if the file changed or cannot be mapped
   */
  public MemorySegment segment(TensorInfo tensor) {
    return file(tensor.file()).asSlice(tensor.offset(), tensor.byteLength());
  }

  private synchronized MemorySegment file(Path path) {
    MemorySegment known = mapped.get(path);
    if (known != null) {
      return known;
    }
    SafetensorsFile file = files.get(path);
    if (file == null) {
      throw new IllegalArgumentException("must be a file of this checkpoint: file=" + path);
    }
    file.checkUnchanged();
    try (FileChannel channel = CheckpointFiles.open(path)) {
      MemorySegment all =
          channel.map(FileChannel.MapMode.READ_ONLY, 0, file.byteLength(), arena).asReadOnly();
      mapped.put(path, all);
      return all;
    } catch (IOException e) {
      throw CheckpointFiles.failure(path, e);
    }
  }
}
