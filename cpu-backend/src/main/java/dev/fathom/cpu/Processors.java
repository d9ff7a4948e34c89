package dev.fathom.cpu;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Set;

/** How many threads are worth having: two hardware threads of a core share its vector units. */
final class Processors {

  private static final Path CPUS = Path.of("/sys/devices/system/cpu");
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final String ALLOWED = "Cpus_allowed_list:";

  private Processors() {}

  /**
   * Returns the smaller of the physical cores that this process may run on (its affinity, so a
   * container's cpuset too) and the processors of the JVM, which knows the container's quota.
   */
  static int count() {
    int usable = Runtime.getRuntime().availableProcessors();
    int cores = cores(CPUS, STATUS);
    return cores == 0 ? usable : Math.min(usable, cores);
  }

  /**
   * Returns the different sets of sibling threads with an allowed processor, or 0 where unknown.
   *
   * @param cpus folder as Linux has it: cpu0/topology/thread_siblings_list, ...
   * @param status file as Linux has it, whose Cpus_allowed_list counts; without it all are allowed
   */
  static int cores(Path cpus, Path status) {
    Set<String> siblings = new HashSet<>();
    try (DirectoryStream<Path> folders = Files.newDirectoryStream(cpus, "cpu[0-9]*")) {
      BitSet allowed = allowed(status);
      for (Path cpu : folders) {
        Path list = cpu.resolve("topology").resolve("thread_siblings_list");
        int number = Integer.parseInt(cpu.getFileName().toString().substring("cpu".length()));
        if ((allowed.isEmpty() || allowed.get(number)) && Files.isReadable(list)) {
          siblings.add(Files.readString(list, StandardCharsets.US_ASCII).strip());
        }
      }
    } catch (IOException | RuntimeException _) {
      return 0;
    }
    return siblings.size();
  }

  /** Returns the numbers of the allowed processors, none where the file does not say. */
  private static BitSet allowed(Path status) throws IOException {
    BitSet numbers = new BitSet();
    if (!Files.isReadable(status)) {
      return numbers;
    }
    for (String line : Files.readAllLines(status, StandardCharsets.ISO_8859_1)) {
      if (line.startsWith(ALLOWED)) {
        for (String range : line.substring(ALLOWED.length()).strip().split(",")) {
          int dash = range.indexOf('-');
          int first = Integer.parseInt(dash < 0 ? range : range.substring(0, dash));
          int last = dash < 0 ? first : Integer.parseInt(range.substring(dash + 1));
          numbers.set(first, last + 1);
        }
      }
    }
    return numbers;
  }
}
