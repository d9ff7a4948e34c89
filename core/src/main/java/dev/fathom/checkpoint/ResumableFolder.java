package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.json.JsonWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A folder in which a checkpoint is written shard by shard, and which a later run may go on with.
 *
 * <p>Each file appears under its name only when all its bytes are on disk. A journal beside them
 * says what is being made of what; it goes last, after {@code config.json}, without which nobody
 * takes the folder for a checkpoint. A shard that an earlier run finished is kept if its header is
 * the one that would be written now.
 *
 * <p>One thread, and one process at a time.
 */
public final class ResumableFolder {
  /** Name of the journal; a folder with it is unfinished. */
  public static final String JOURNAL = ".fathom-unfinished";

  private static final Set<String> LEFT_OUT =
      Set.of(CheckpointFolder.CONFIG, CheckpointFolder.INDEX, "checksums.sha256");
  private static final List<String> WEIGHT_ENDINGS =
      List.of(".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf");

  private static final long MAX_COMPANION_BYTES = 256L << 20;

  private final Path folder;
  private final boolean resumed;
  private final Map<String, String> shardOf = new LinkedHashMap<>();
  private long totalBytes;

  private ResumableFolder(Path folder, boolean resumed) {
    this.folder = folder;
    this.resumed = resumed;
  }

  /**
   * Makes the folder, or opens one that an interrupted run of the same kind left.
   *
   * @param folder must not exist, be empty, or hold a journal with the same text
   * @param journal one line that tells source and recipe
   * @throws CheckpointException if the folder holds something else or cannot be written
   */
  public static ResumableFolder open(Path folder, String journal) {
    Path mark = folder.resolve(JOURNAL);
    byte[] text = (journal + "\n").getBytes(StandardCharsets.UTF_8);
    try {
      if (Files.exists(folder) && !Files.isDirectory(folder)) {
        throw inUse(folder, "it is a file", "give a folder that does not exist yet");
      }
      Files.createDirectories(folder);
      if (Files.isRegularFile(mark)) {
        String old = Files.readString(mark, StandardCharsets.UTF_8);
        if (!old.equals(journal + "\n")) {
          throw inUse(
              folder,
              "another run left it unfinished: " + Text.quote(old.strip()),
              "repeat that run to finish it, or delete the folder");
        }
        removeParts(folder);
        return new ResumableFolder(folder, true);
      }
      try (Stream<Path> files = Files.list(folder)) {
        if (files.findAny().isPresent()) {
          throw inUse(folder, "the folder is not empty", "give a folder that does not exist yet");
        }
      }
    } catch (IOException e) {
      throw failed(folder, e);
    }
    SafetensorsWriter.write(mark, text);
    return new ResumableFolder(folder, false);
  }

  private static void removeParts(Path folder) throws IOException {
    List<Path> parts = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      files
          .filter(file -> file.getFileName().toString().startsWith("."))
          .filter(file -> file.getFileName().toString().contains(".part-"))
          .forEach(parts::add);
    }
    for (Path part : parts) {
      Files.deleteIfExists(part);
    }
  }

  private static CheckpointException inUse(Path folder, String why, String fix) {
    return new CheckpointException(
        ErrorCode.WRITE_FOLDER_IN_USE,
        "The checkpoint " + Text.quote(folder.toString()) + " is not written",
        why,
        fix);
  }

  private static CheckpointException failed(Path folder, IOException e) {
    return new CheckpointException(
        ErrorCode.WRITE_FAILED,
        "The checkpoint " + Text.quote(folder.toString()) + " is not written",
        "the operating system reports " + Text.quote(e.toString()),
        "check that this process may write there and that the disk has room",
        e);
  }

  /** Whether an earlier run began this folder. */
  public boolean isResumed() {
    return resumed;
  }

  /**
   * Name of a shard as transformers names it.
   *
   * @param shard from 0
   */
  public static String shardName(int shard, int numShards) {
    return ShardedWriter.shardName(shard, numShards);
  }

  /**
   * Writes a shard unless an earlier run did.
   *
   * @param tensors in the order of their bytes
   * @param data gives their bytes; not asked where the shard is kept
   * @return whether the shard was written now
   * @throws CheckpointException if the disk is full or fails
   */
  public boolean write(String name, List<TensorSpec> tensors, TensorData data) {
    for (TensorSpec tensor : tensors) {
      shardOf.put(tensor.name(), name);
      totalBytes = Math.addExact(totalBytes, tensor.byteLength());
    }
    Path file = folder.resolve(name);
    if (resumed && isWritten(file, tensors)) {
      return false;
    }
    SafetensorsWriter.write(file, tensors, SafetensorsWriter.PYTORCH, data);
    return true;
  }

  private static boolean isWritten(Path file, List<TensorSpec> tensors) {
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    List<TensorSpec> stored =
        SafetensorsFile.open(file).tensors().stream().map(TensorSpec::of).toList();
    return stored.equals(tensors);
  }

  /**
   * Writes the index, copies what else lies in the source's folder (tokenizer, templates, licence),
   * writes {@code config.json} and takes the journal away.
   *
   * @param config the content of config.json
   * @throws CheckpointException if a file cannot be read or written
   */
  public void finish(Path source, String config) {
    if (Set.copyOf(shardOf.values()).size() > 1) {
      byte[] index =
          JsonWriter.pretty(ShardedWriter.index(shardOf, totalBytes))
              .getBytes(StandardCharsets.UTF_8);
      SafetensorsWriter.write(folder.resolve(CheckpointFolder.INDEX), index);
    }
    try {
      for (Path file : companions(source)) {
        SafetensorsWriter.write(
            folder.resolve(file.getFileName().toString()), Files.readAllBytes(file));
      }
      SafetensorsWriter.write(
          folder.resolve(CheckpointFolder.CONFIG), config.getBytes(StandardCharsets.UTF_8));
      Files.deleteIfExists(folder.resolve(JOURNAL));
    } catch (IOException e) {
      throw failed(folder, e);
    }
  }

  /** Small plain files of the source that are no weights; sorted. */
  private static List<Path> companions(Path source) throws IOException {
    try (Stream<Path> files = Files.list(source)) {
      return files.filter(ResumableFolder::isCompanion).sorted().toList();
    }
  }

  private static boolean isCompanion(Path file) {
    String name = file.getFileName().toString();
    return Files.isRegularFile(file)
        && file.toFile().length() <= MAX_COMPANION_BYTES
        && !name.startsWith(".")
        && !LEFT_OUT.contains(name)
        && WEIGHT_ENDINGS.stream().noneMatch(name::endsWith);
  }

  /** Bytes of all tensors given to {@link #write}. */
  public long totalBytes() {
    return totalBytes;
  }
}
