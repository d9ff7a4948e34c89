package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendProvider;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class CpuProviderTest {

  /** What a child JVM runs: probes, and creates the backend where it may. */
  static final class Child {
    public static void main(String[] args) {
      CpuProvider provider = new CpuProvider();
      System.out.println(provider.probe());
      try (Backend backend = provider.create(2)) {
        System.out.println(backend.description());
      } catch (RuntimeException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  private static String child(String... flags) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(flags));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Child.class.getName()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return out;
  }

  @Test
  void theServiceLoaderFindsTheProvider() {
    assertThat(ServiceLoader.load(BackendProvider.class))
        .anySatisfy(provider -> {
          assertThat(provider).isInstanceOf(CpuProvider.class);
          assertThat(provider.name()).isEqualTo("cpu");
          assertThat(provider.preference()).isEqualTo(50);
        });
  }

  @Test
  void withoutTheVectorModuleTheProbeNamesTheFlagAndTheFlagHelps()
      throws IOException, InterruptedException {
    String flag = "--add-modules jdk.incubator.vector";
    String without = child();
    assertThat(without)
        .contains("available=false", "jdk.incubator.vector (Vector API) is not in this JVM", flag)
        .contains("FATHOM-4000 The cpu backend");
    assertThat(without.lines().filter(line -> line.contains("NoClassDefFound"))).isEmpty();
    assertThat(child(flag.split(" "))).contains("available=true", "-bit vectors, threads=2");
  }

  @Test
  void negativeThreadsAreRefused() {
    assertThatThrownBy(() -> new CpuProvider().create(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be >= 0: threads=-1");
  }
}
