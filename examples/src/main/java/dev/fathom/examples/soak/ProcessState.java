package dev.fathom.examples.soak;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * What this process uses; memory and files are 0 where the system has no /proc.
 *
 * @param residentBytes memory in RAM
 * @param threads platform threads
 * @param openFiles file descriptors
 */
record ProcessState(long residentBytes, int threads, int openFiles) {

  private static final Path STATUS = Path.of("/proc/self/status");
  private static final Path FILES = Path.of("/proc/self/fd");
  private static final long KIB = 1L << 10;

  static ProcessState now() throws IOException {
    long resident = 0;
    if (Files.exists(STATUS)) {
      for (String line : Files.readAllLines(STATUS)) {
        if (line.startsWith("VmRSS:")) {
          resident = Long.parseLong(line.replaceAll("\\D", "")) * KIB;
        }
      }
    }
    int files = 0;
    if (Files.isDirectory(FILES)) {
      try (Stream<Path> open = Files.list(FILES)) {
        files = (int) open.count();
      }
    }
    return new ProcessState(resident, ManagementFactory.getThreadMXBean().getThreadCount(), files);
  }
}
