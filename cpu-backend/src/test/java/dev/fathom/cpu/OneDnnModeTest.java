package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.PrefillMode;
import dev.fathom.cpu.onednn.OneDnnThere;
import dev.fathom.error.FathomException;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The mode as a program meets it, in JVMs of their own. */
class OneDnnModeTest {

  /** What a child JVM runs. */
  static final class Child {
    public static void main(String[] args) {
      BackendOptions options = BackendOptions.DEFAULT.withThreads(2);
      try (Backend java = new CpuProvider().create(options)) {
        System.out.println(java.description());
      }
      try (Backend backend =
          new CpuProvider().create(options.withPrefill(PrefillMode.valueOf(args[0])))) {
        System.out.println(backend.description());
      } catch (FathomException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @BeforeAll
  static void there() {
    OneDnnThere.orSkip();
  }

  private static String child(Path temporary, boolean withJar)
      throws IOException, InterruptedException {
    String classPath =
        Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
            .filter(entry -> withJar || !Path.of(entry).getFileName().toString().startsWith("dnnl"))
            .collect(Collectors.joining(File.pathSeparator));
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--add-modules", "jdk.incubator.vector"));
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-Djava.io.tmpdir=" + temporary);
    command.addAll(List.of("-cp", classPath, Child.class.getName(), "ONEDNN"));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return out;
  }

  @Test
  void theDescriptionNamesTheModeAndNothingIsLeftInTheTemporaryFolder(@TempDir Path temporary)
      throws IOException, InterruptedException {
    assertThat(child(temporary, true)).containsOnlyOnce("in bfloat16 by oneDNN");
    try (Stream<Path> left = Files.list(temporary)) {
      assertThat(left).isEmpty();
    }
  }

  @Test
  void withoutTheJarTheModeFailsAndNamesIt(@TempDir Path temporary)
      throws IOException, InterruptedException {
    assertThat(child(temporary, false))
        .contains("-bit vectors, threads=2")
        .contains("FATHOM-4000 PrefillMode.ONEDNN cannot have its library")
        .contains("neither class path nor module path has org/bytedeco/dnnl/linux-x86_64/")
        .contains("add org.bytedeco:dnnl:3.11-1.5.13:linux-x86_64 to the program")
        .doesNotContain("NoClassDefFound", "in bfloat16");
    try (Stream<Path> left = Files.list(temporary)) {
      assertThat(left).isEmpty();
    }
  }

  @Test
  void aTemporaryFolderThatIsMissingIsNamed(@TempDir Path temporary)
      throws IOException, InterruptedException {
    assertThat(child(temporary.resolve("none"), true))
        .contains("FATHOM-4000 PrefillMode.ONEDNN", "cannot be copied", "java.io.tmpdir");
  }
}
