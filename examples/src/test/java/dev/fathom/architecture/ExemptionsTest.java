package dev.fathom.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Exemptions from the gates: each says why in a comment on its line or the line above, and there
 * are no more of them than {@code config/exemptions.txt} allows.
 */
class ExemptionsTest {

  private static final Path ROOT = Path.of("..");

  private static final Set<String> MODULES =
      Set.of("quant", "moe", "kvcache", "core", "cpu-backend", "cuda-backend", "examples", "jmh");

  private static final List<String> MARKS =
      List.of(
          "@" + "SuppressWarnings",
          "@" + "SuppressForbidden",
          "@" + "NullUnmarked",
          "@" + "Disabled",
          "CHECKSTYLE" + ":OFF",
          "spotless" + ":off",
          ".allowEmpty" + "Should(");

  private record Exemption(Path file, int line, String text, boolean hasReason) {}

  private static List<Exemption> exemptions() {
    List<Exemption> found = new ArrayList<>();
    for (String module : MODULES) {
      try (Stream<Path> files = Files.walk(ROOT.resolve(module).resolve("src"))) {
        files.filter(file -> file.toString().endsWith(".java")).forEach(file -> scan(file, found));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return found;
  }

  private static void scan(Path file, List<Exemption> found) {
    List<String> lines = readLines(file);
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      if (MARKS.stream().anyMatch(line::contains)) {
        String above = i == 0 ? "" : lines.get(i - 1).strip();
        boolean hasReason = line.contains(" // ") || above.startsWith("// ");
        found.add(new Exemption(file, i + 1, line.strip(), hasReason));
      }
    }
  }

  private static List<String> readLines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int allowed() {
    return readLines(ROOT.resolve("config").resolve("exemptions.txt")).stream()
        .filter(line -> !line.isBlank() && !line.startsWith("#"))
        .mapToInt(Integer::parseInt)
        .findFirst()
        .orElseThrow();
  }

  @Test
  void everyExemptionSaysWhy() {
    assertThat(exemptions()).filteredOn(exemption -> !exemption.hasReason()).isEmpty();
  }

  @Test
  void thereAreNoMoreExemptionsThanAllowed() {
    assertThat(exemptions()).hasSizeLessThanOrEqualTo(allowed());
  }
}
