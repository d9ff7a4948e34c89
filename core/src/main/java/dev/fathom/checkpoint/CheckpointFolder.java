package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The folder of a checkpoint: which files it has, and the way to each of them that cannot be led
 * astray.
 *
 * <p>A file name is one name, never a path; where a symbolic link leads must lie inside the folder.
 * One exception: the cache of the Hugging Face hub keeps {@code snapshots/REVISION} full of links
 * into {@code blobs} beside it, so those are allowed.
 */
final class CheckpointFolder {
  static final String SINGLE = "model.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  static final String CONFIG = "config.json";

  private static final String SAFETENSORS = ".safetensors";
  private static final List<String> PICKLES = List.of(".bin", ".pt", ".pth", ".ckpt");

  private final Path path;
  private final TreeSet<String> names;
  private final List<Path> roots = new ArrayList<>();

  private CheckpointFolder(Path path, TreeSet<String> names) {
    this.path = path;
    this.names = names;
  }

  /**
   * Lists the folder.
   *
   * @throws CheckpointException if it is missing, a file, empty or not readable
   */
  static CheckpointFolder open(Path path) {
    if (!Files.exists(path)) {
      throw new CheckpointException(
          ErrorCode.CHECKPOINT_NOT_FOUND,
          "The checkpoint " + Text.quote(path.toString()) + " cannot be opened",
          "there is no such folder",
          "check the path; relative ones start at the working directory, which is "
              + Text.quote(Path.of("").toAbsolutePath().toString()));
    }
    if (!Files.isDirectory(path)) {
      throw isFile(path);
    }
    CheckpointFolder folder = new CheckpointFolder(path, list(path));
    if (folder.names.isEmpty()) {
      throw new CheckpointException(
          ErrorCode.CHECKPOINT_EMPTY,
          "The checkpoint " + Text.quote(path.toString()) + " cannot be opened",
          "the folder is empty",
          "download the model into it: config.json, tokenizer.json and the .safetensors files");
    }
    try {
      folder.addRoots(path.toRealPath());
    } catch (IOException e) {
      throw CheckpointFiles.failure(path, e);
    }
    return folder;
  }

  private void addRoots(Path real) {
    roots.add(real);
    Path snapshots = real.getParent();
    Path hub = snapshots == null ? null : snapshots.getParent();
    if (hub != null && snapshots != null && snapshots.endsWith("snapshots")) {
      roots.add(hub.resolve("blobs"));
    }
  }

  private static CheckpointException isFile(Path path) {
    if (hasEnding(path.toString(), ".gguf")) {
      return gguf(path);
    }
    Path parent = path.toAbsolutePath().getParent();
    return new CheckpointException(
        ErrorCode.CHECKPOINT_IS_FILE,
        "The checkpoint " + Text.quote(path.toString()) + " cannot be opened",
        "it is a file, but a checkpoint is a folder",
        "pass the folder that holds it: " + Text.quote(String.valueOf(parent)));
  }

  /** The refusal of GGUF files. */
  static CheckpointException gguf(Path file) {
    return new CheckpointException(
        ErrorCode.CHECKPOINT_GGUF,
        "The checkpoint " + Text.quote(file.toString()) + " cannot be opened",
        "its weights are in the GGUF format, which this library does not read",
        "download the safetensors files of the same model");
  }

  private static TreeSet<String> list(Path path) {
    TreeSet<String> names = new TreeSet<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(path)) {
      for (Path entry : entries) {
        names.add(String.valueOf(entry.getFileName()));
      }
    } catch (DirectoryIteratorException e) {
      throw CheckpointFiles.failure(path, new IOException(e.getMessage(), e));
    } catch (IOException e) {
      throw CheckpointFiles.failure(path, e);
    }
    return names;
  }

  /** The folder as it was given. */
  Path path() {
    return path;
  }

  /** Whether the folder has an entry of exactly this name. */
  boolean has(String name) {
    return names.contains(name);
  }

  /** The entry whose name differs from this one in case only, or null. */
  @Nullable String withOtherCase(String name) {
    for (String entry : names) {
      if (entry.equalsIgnoreCase(name) && !entry.equals(name)) {
        return entry;
      }
    }
    return null;
  }

  /** The names that end with {@code .safetensors}, sorted. */
  List<String> safetensors() {
    return names.stream().filter(name -> name.endsWith(SAFETENSORS)).toList();
  }

  /** Whether a name from a file is a plain name of a safetensors file. */
  static boolean isShardName(String name) {
    if (!name.endsWith(SAFETENSORS) || name.length() > 255 || name.startsWith(".")) {
      return false;
    }
    return name.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || c < 0x20 || c == 0x7F);
  }

  /**
   * The path of an entry.
   *
   * @throws CheckpointException if it is a link that leads out of the folder or nowhere
   */
  Path resolve(String name) {
    Path file = path.resolve(name);
    try {
      Path real = file.toRealPath();
      if (roots.stream().noneMatch(real::startsWith)) {
        throw new CheckpointException(
            ErrorCode.CHECKPOINT_LINK_OUTSIDE,
            "The file " + Text.quote(file.toString()) + " is not read",
            "a symbolic link must not lead out of the folder: target="
                + Text.quote(real.toString()),
            "put the file itself into the folder");
      }
    } catch (IOException e) {
      throw CheckpointFiles.failure(file, e);
    }
    return file;
  }

  /**
   * The bytes of a small file, or null if the folder has no such entry.
   *
   * @throws CheckpointException if it is there but cannot be read, or is above maxBytes
   */
  byte @Nullable [] read(String name, long maxBytes) {
    return has(name) ? CheckpointFiles.readAll(resolve(name), maxBytes) : null;
  }

  /** Why a folder without safetensors files and without an index has no weights. */
  CheckpointException withoutWeights() {
    for (String name : names) {
      if (hasEnding(name, ".gguf")) {
        return gguf(path.resolve(name));
      }
    }
    for (String name : names) {
      if (PICKLES.stream().anyMatch(ending -> hasEnding(name, ending))) {
        return new CheckpointException(
            ErrorCode.CHECKPOINT_PICKLED,
            "The checkpoint " + Text.quote(path.toString()) + " cannot be opened",
            "its weights are pickled PyTorch files, which can run code when they are read: file="
                + Text.quote(name),
            "convert them with transformers: from_pretrained(...).save_pretrained(...,"
                + " safe_serialization=True)");
      }
    }
    return new CheckpointException(
        ErrorCode.CHECKPOINT_WITHOUT_WEIGHTS,
        "The checkpoint " + Text.quote(path.toString()) + " cannot be opened",
        "the folder has neither model.safetensors nor model.safetensors.index.json",
        "download the .safetensors files of the model and their index into it");
  }

  private static boolean hasEnding(String name, String ending) {
    return name.toLowerCase(Locale.ROOT).endsWith(ending);
  }
}
