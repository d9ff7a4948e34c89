package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.backend.LargePageArena;
import dev.fathom.engine.BackendSelection;
import dev.fathom.error.FathomException;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every way to start a JVM, in a JVM of its own: which backend a program gets, and what it says.
 */
class FlagTableTest {

  private static final String NO_NATIVE_ACCESS = "pages: small (native access is not enabled)";
  private static final String RESTRICTED = "restricted method";
  private static final String MODULE = "jdk.incubator.vector";

  @TempDir Path folder;

  /** What a child JVM runs: chooses a backend as a model does. */
  static final class Child {
    public static void main(String[] args) {
      ProgramBuilder g = new ProgramBuilder("child");
      Value h = g.embed(g.tokens(), new WeightRef("e", List.of(2, 2), WeightFormat.F32));
      g.output(Program.LOGITS, g.logits(h, new WeightRef("h", List.of(2, 2), WeightFormat.F32)));
      try {
        BackendSelection chosen =
            BackendSelection.choose(BackendSelection.AUTO, args.length > 0, g.build());
        System.out.println("backend=" + chosen.provider().name());
        System.out.println("pages: " + LargePageArena.description());
        chosen.provider().create(1).close();
      } catch (FathomException e) {
        System.out.println("refused " + e.getMessage());
      }
    }
  }

  private static List<String> classPath() {
    return List.of(System.getProperty("java.class.path").split(File.pathSeparator));
  }

  private static boolean isModule(String entry) {
    return ModuleFinder.of(Path.of(entry)).findAll().stream()
        .map(module -> module.descriptor().name())
        .anyMatch(name -> name.startsWith("dev.fathom.") || name.equals("org.slf4j"));
  }

  private static String join(Stream<String> entries) {
    return entries.collect(Collectors.joining(File.pathSeparator));
  }

  private static String run(Map<String, String> environment, List<String> arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-Xshare:auto"));
    command.addAll(arguments);
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().keySet().removeIf(name -> name.endsWith("_OPTIONS"));
    builder.environment().putAll(environment);
    Process process = builder.start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(out).isZero();
    return out;
  }

  private static String runOnClassPath(Map<String, String> environment, String... flags)
      throws IOException, InterruptedException {
    List<String> arguments = new ArrayList<>(List.of(flags));
    arguments.addAll(List.of("-cp", System.getProperty("java.class.path"), Child.class.getName()));
    return run(environment, arguments);
  }

  @Test
  void aClassPathWithoutFlagsRunsOnTheReferenceAndSaysOnceHowToBeFaster()
      throws IOException, InterruptedException {
    String out = runOnClassPath(Map.of());

    assertThat(out).contains("backend=reference").containsOnlyOnce("slow backend");
    String warning = out.lines().filter(line -> line.contains("slow backend")).findAny().orElse("");
    assertThat(warning).contains("WARN", "--add-modules " + MODULE);
  }

  @Test
  void theFlagOfTheWarningHelps() throws IOException, InterruptedException {
    assertThat(runOnClassPath(Map.of(), "--add-modules", MODULE))
        .contains("backend=cpu")
        .doesNotContain("slow backend");
  }

  @Test
  void bothEnvironmentVariablesOfTheJvmHelp() throws IOException, InterruptedException {
    assertThat(runOnClassPath(Map.of("JDK_JAVA_OPTIONS", "--add-modules " + MODULE)))
        .contains("backend=cpu", "NOTE: Picked up JDK_JAVA_OPTIONS");
    assertThat(runOnClassPath(Map.of("JAVA_TOOL_OPTIONS", "--add-modules=" + MODULE)))
        .contains("backend=cpu", "Picked up JAVA_TOOL_OPTIONS");
  }

  @Test
  void aFileOfArgumentsHelps() throws IOException, InterruptedException {
    Path file = Files.writeString(folder.resolve("flags"), "--add-modules " + MODULE + "\n");

    assertThat(runOnClassPath(Map.of(), "@" + file)).contains("backend=cpu");
  }

  @Test
  void aManifestCannotAddTheModule() throws IOException, InterruptedException {
    Manifest manifest = new Manifest();
    Attributes attributes = manifest.getMainAttributes();
    attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    attributes.put(Attributes.Name.MAIN_CLASS, Child.class.getName());
    attributes.put(new Attributes.Name("Add-Modules"), MODULE);
    attributes.put(
        Attributes.Name.CLASS_PATH,
        classPath().stream()
            .map(entry -> Path.of(entry).toUri().toString())
            .collect(Collectors.joining(" ")));
    Path jar = folder.resolve("program.jar");
    try (OutputStream out = Files.newOutputStream(jar)) {
      new JarOutputStream(out, manifest).close();
    }

    assertThat(run(Map.of(), List.of("-jar", jar.toString())))
        .contains("backend=reference")
        .containsOnlyOnce("slow backend");
    assertThat(run(Map.of(), List.of("--add-modules", MODULE, "-jar", jar.toString())))
        .contains("backend=cpu");
  }

  @Test
  void theModulePathNeedsNoFlag() throws IOException, InterruptedException {
    assumeTrue(
        classPath().stream().filter(FlagTableTest::isModule).count() >= 6,
        "skipped: the classes were compiled without their module descriptors");
    String out = runOnModulePath();

    assertThat(out)
        .contains("backend=cpu", NO_NATIVE_ACCESS)
        .doesNotContain("slow backend")
        .doesNotContain(RESTRICTED);
    assertThat(runOnModulePath("--enable-native-access=dev.fathom.core"))
        .contains("backend=cpu")
        .doesNotContain(NO_NATIVE_ACCESS)
        .doesNotContain(RESTRICTED);
  }

  private static String runOnModulePath(String... flags) throws IOException, InterruptedException {
    String modules = join(classPath().stream().filter(FlagTableTest::isModule));
    String others = join(classPath().stream().filter(entry -> !isModule(entry)));
    List<String> arguments = new ArrayList<>(List.of(flags));
    arguments.addAll(List.of("-p", modules, "--add-modules", "dev.fathom.cpu"));
    arguments.add("--patch-module");
    arguments.add("dev.fathom.cpu=" + Path.of("target", "test-classes"));
    arguments.add("--add-exports");
    arguments.add("dev.fathom.core/dev.fathom.engine=dev.fathom.cpu");
    arguments.addAll(List.of("-cp", others, "-m", "dev.fathom.cpu/" + Child.class.getName()));
    return run(Map.of(), arguments);
  }

  @Test
  void nativeAccessGivesLargePagesAndIsNotTakenWithoutItsFlag()
      throws IOException, InterruptedException {
    assertThat(runOnClassPath(Map.of(), "--add-modules", MODULE))
        .contains("backend=cpu", NO_NATIVE_ACCESS)
        .doesNotContain(RESTRICTED);
    String flag = "--enable-native-access=ALL-UNNAMED";
    assertThat(runOnClassPath(Map.of(), "--add-modules", MODULE, flag))
        .contains("backend=cpu", "pages: ")
        .doesNotContain(NO_NATIVE_ACCESS)
        .doesNotContain(RESTRICTED);
  }

  @Test
  void whoRequiresAFastBackendIsRefusedWithTheFlag() throws IOException, InterruptedException {
    List<String> arguments = new ArrayList<>();
    arguments.addAll(List.of("-cp", System.getProperty("java.class.path")));
    arguments.addAll(List.of(Child.class.getName(), "requireFast"));

    assertThat(run(Map.of(), arguments))
        .contains("refused FATHOM-4000", "requireFastBackend", "--add-modules " + MODULE)
        .doesNotContain("backend=");
    arguments.addAll(0, List.of("--add-modules", MODULE));
    assertThat(run(Map.of(), arguments)).contains("backend=cpu");
  }
}
