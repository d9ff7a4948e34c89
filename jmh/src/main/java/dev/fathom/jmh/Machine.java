package dev.fathom.jmh;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import jdk.incubator.vector.FloatVector;

/** What a table says about where it was measured. */
final class Machine {

  private static final Path CPU_INFO = Path.of("/proc/cpuinfo");

  private Machine() {}

  /** Returns processor, vectors and JDK. */
  static String description() {
    return cpu()
        + ", processors: "
        + Runtime.getRuntime().availableProcessors()
        + ", vectors of "
        + FloatVector.SPECIES_PREFERRED.vectorBitSize()
        + " bits; JDK "
        + Runtime.version()
        + " ("
        + System.getProperty("java.vm.vendor")
        + ")";
  }

  private static String cpu() {
    String unknown = System.getProperty("os.arch", "unknown processor");
    if (!Files.isReadable(CPU_INFO)) {
      return unknown;
    }
    try {
      return Files.readAllLines(CPU_INFO, StandardCharsets.UTF_8).stream()
          .filter(line -> line.startsWith("model name"))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst()
          .orElse(unknown);
    } catch (IOException _) {
      return unknown;
    }
  }
}
