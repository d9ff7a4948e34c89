package dev.fathom.engine;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The memory that this process may still take outside its heap: what the machine has available,
 * less where the container's limit is lower.
 *
 * <p>On Linux from {@code /proc/meminfo} (MemAvailable, which counts the page cache as available)
 * and the limits of control groups v2 and v1; elsewhere from the JDK's bean.
 *
 * @param bytes what is available
 * @param limit what limits it, in words
 */
public record MachineMemory(long bytes, String limit) {

  private static final long UNLIMITED = Long.MAX_VALUE;
  private static final double GIB = 1L << 30;

  /** Looks at this machine. */
  public static MachineMemory now() {
    return at(Path.of("/"));
  }

  /** Looks at the system files below a root, as tests do. */
  static MachineMemory at(Path root) {
    long machine = meminfo(root.resolve("proc/meminfo"));
    String limit = "machine memory";
    if (machine < 0) {
      machine = free();
    }
    long bytes = machine;
    Path groups = root.resolve("sys/fs/cgroup");
    for (Path group : groupsOf(root, groups)) {
      long max = number(group.resolve("memory.max"));
      long left = max - number(group.resolve("memory.current")) + inactive(group, "memory.stat");
      if (max != UNLIMITED && left < bytes) {
        bytes = Math.max(0, left);
        limit = container(max);
      }
    }
    Path v1 = groups.resolve("memory");
    long max = number(v1.resolve("memory.limit_in_bytes"));
    long left = max - number(v1.resolve("memory.usage_in_bytes")) + inactive(v1, "memory.stat");
    if (max != UNLIMITED && left < bytes) {
      bytes = Math.max(0, left);
      limit = container(max);
    }
    return new MachineMemory(bytes, limit);
  }

  private static String container(long max) {
    return String.format(Locale.ROOT, "container limit %.1f GiB", max / GIB);
  }

  private static long free() {
    if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean bean) {
      return bean.getFreeMemorySize();
    }
    return UNLIMITED;
  }

  private static long meminfo(Path file) {
    for (String line : lines(file)) {
      if (line.startsWith("MemAvailable:")) {
        return parse(line.substring(line.indexOf(':') + 1).replace("kB", "")) * 1024;
      }
    }
    return -1;
  }

  /** The control group of this process and those that hold it. */
  private static List<Path> groupsOf(Path root, Path groups) {
    List<Path> found = new ArrayList<>();
    Path group = ownGroup(root, groups);
    while (group != null && group.startsWith(groups)) {
      found.add(group);
      group = group.getParent();
    }
    return found;
  }

  /** The control group of this process; the root group where none is named. */
  private static Path ownGroup(Path root, Path groups) {
    for (String line : lines(root.resolve("proc/self/cgroup"))) {
      if (line.startsWith("0::/")) {
        Path group = groups.resolve(line.substring("0::/".length())).normalize();
        return group.startsWith(groups) && Files.isDirectory(group) ? group : groups;
      }
    }
    return groups;
  }

  private static long inactive(Path group, String file) {
    for (String line : lines(group.resolve(file))) {
      if (line.startsWith("inactive_file ")) {
        return parse(line.substring("inactive_file ".length()));
      }
    }
    return 0;
  }

  /** The number in a file, {@link #UNLIMITED} where there is none. */
  private static long number(Path file) {
    List<String> lines = lines(file);
    if (lines.isEmpty() || lines.getFirst().equals("max")) {
      return UNLIMITED;
    }
    return parse(lines.getFirst());
  }

  private static long parse(String digits) {
    try {
      return Long.parseLong(digits.strip());
    } catch (NumberFormatException e) {
      return UNLIMITED;
    }
  }

  private static List<String> lines(Path file) {
    try {
      return Files.isReadable(file)
          ? Files.readAllLines(file, StandardCharsets.US_ASCII)
          : List.of();
    } catch (IOException e) {
      return List.of();
    }
  }
}
