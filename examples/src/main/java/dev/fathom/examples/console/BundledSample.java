package dev.fathom.examples.console;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The small trained model that comes with the sources in {@code examples/models/sample}: found from
 * the place of these classes or of the jar, else from the working folder.
 */
public final class BundledSample {

  private static final Path RELATIVE = Path.of("examples", "models", "sample");
  private static final List<String> VARIANTS = List.of("", "fp8", "bf16");

  private BundledSample() {}

  /**
   * Returns the folder of the checkpoint.
   *
   * @throws Failure where it is not there
   */
  public static Path checkpoint() {
    Path folder = folder();
    for (String variant : VARIANTS) {
      Path candidate = folder.resolve(variant);
      if (Files.isRegularFile(candidate.resolve("config.json"))) {
        return candidate;
      }
    }
    throw missing("there is no config.json in " + folder);
  }

  /**
   * Returns the file of evaluation tasks.
   *
   * @throws Failure where it is not there
   */
  public static Path evalTasks() {
    return folder().resolve("eval.json");
  }

  private static Path folder() {
    for (Path start : List.of(codeFolder(), Path.of("").toAbsolutePath())) {
      Path found = above(start);
      if (found != null) {
        return found;
      }
    }
    throw missing("there is no folder " + RELATIVE + " above the program or the working folder");
  }

  private static @Nullable Path above(Path start) {
    for (@Nullable Path at = start; at != null; at = at.getParent()) {
      Path candidate = at.resolve(RELATIVE);
      if (Files.isDirectory(candidate)) {
        return candidate;
      }
    }
    return null;
  }

  private static Path codeFolder() {
    CodeSource source = BundledSample.class.getProtectionDomain().getCodeSource();
    try {
      return source == null || source.getLocation() == null
          ? Path.of("").toAbsolutePath()
          : Path.of(source.getLocation().toURI()).toAbsolutePath();
    } catch (URISyntaxException | IllegalArgumentException notAFile) {
      return Path.of("").toAbsolutePath();
    }
  }

  private static Failure missing(String why) {
    return Failure.usage(
        "The sample model was not found",
        why,
        "give the folder of a checkpoint with --model PATH, or run inside a clone of Fathom");
  }
}
