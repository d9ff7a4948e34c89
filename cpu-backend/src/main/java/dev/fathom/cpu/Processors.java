package dev.fathom.cpu;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/** How many threads are worth having: two hardware threads of a core share its vector units. */
final class Processors {

  private static final Path CPUS = Path.of("/sys/devices/system/cpu");

  private Processors() {}

  /** Returns the smaller of the physical cores and the processors that this container may use. */
  static int count() {
    int usable = Runtime.getRuntime().availableProcessors();
    int cores = cores(CPUS);
    return cores == 0 ? usable : Math.min(usable, cores);
  }

  /** Returns the different sets of sibling threads below a folder as Linux has it, or 0. */
  static int cores(Path cpus) {
    Set<String> siblings = new HashSet<>();
    try (DirectoryStream<Path> folders = Files.newDirectoryStream(cpus, "cpu[0-9]*")) {
      for (Path cpu : folders) {
        Path list = cpu.resolve("topology").resolve("thread_siblings_list");
        if (Files.isReadable(list)) {
          siblings.add(Files.readString(list, StandardCharsets.US_ASCII).strip());
        }
      }
    } catch (IOException | RuntimeException _) {
      return 0;
    }
    return siblings.size();
  }
}
