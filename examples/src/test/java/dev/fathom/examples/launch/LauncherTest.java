package dev.fathom.examples.launch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LauncherTest {

  private static final int JAVA_8_CLASS_FILE = 52;
  private static final String SEARCHED = "/usr/lib/jvm/* /usr/java/* /opt/* /opt/*/*";
  private static final List<String> MODULES =
      List.of("quant", "moe", "kvcache", "core", "cpu-backend", "cuda-backend");

  @Test
  void theFirstClassOfTheJarCanBeReadByJava8() throws IOException {
    try (InputStream in = Launcher.class.getResourceAsStream("Launcher.class");
        DataInputStream data = new DataInputStream(in)) {
      assertThat(data.readInt()).isEqualTo(0xCAFEBABE);
      assertThat(data.readUnsignedShort()).isZero();
      assertThat(data.readUnsignedShort()).isEqualTo(JAVA_8_CLASS_FILE);
    }
  }

  @Test
  void versionsOfOldAndNewJavaAreRead() {
    assertThat(Launcher.featureVersion("1.8")).isEqualTo(8);
    assertThat(Launcher.featureVersion("17")).isEqualTo(17);
    assertThat(Launcher.featureVersion("")).isZero();
  }

  @Test
  void anOldJavaIsToldWhatIsNeededAndWhereToGetIt() {
    assertThat(Launcher.refusal(17, "/opt/jdk-17"))
        .startsWith("error: Fathom needs Java 25 or newer, this is Java 17\n  why: ")
        .contains("/opt/jdk-17", "\n  fix: install a JDK 25");
  }

  /**
   * The script in a folder of its own, where JAVA_HOME and PATH lead to a JDK 17 and the folders
   * that are searched beside them hold none.
   */
  @Test
  void theScriptSaysThatJdk17IsTooOld(@TempDir Path folder)
      throws IOException, InterruptedException {
    copyScript(folder);
    Path jdk17 = fakeJdk(folder.resolve("jdk-17"), "17.0.15", "exit 1");

    String output = runScript(folder, jdk17, 2, "chat");

    assertThat(output).contains("Fathom needs a JDK 25 or newer", jdk17.toString(), "Fix: install");
  }

  /** Without a UTF-8 locale a JVM would read every character beyond ASCII as U+FFFD. */
  @Test
  void theScriptStartsJava25WithTheVectorApiAndUtf8Arguments(@TempDir Path folder)
      throws IOException, InterruptedException {
    copyScript(folder);
    emptyJars(folder);
    Path jdk25 = fakeJdk(folder.resolve("jdk-25"), "25.0.3", "echo \"LC_ALL=$LC_ALL $*\"");

    String first = runScript(folder, jdk25, 0, "chat", "hi");
    String second = runScript(folder, jdk25, 0, "chat", "hi");

    assertThat(first).startsWith("preparing quick starts").endsWith(second);
    assertThat(second)
        .startsWith("LC_ALL=C.UTF-8 ")
        .contains("--add-modules=jdk.incubator.vector")
        .contains("-XX:SharedArchiveFile=" + folder.toRealPath().resolve("examples/target/classes"))
        .endsWith(" dev.fathom.examples.Fathom chat hi\n");
  }

  @Test
  void largePagesAreAskedForWhereTheSystemGivesThem(@TempDir Path folder)
      throws IOException, InterruptedException {
    copyScript(folder);
    emptyJars(folder);
    Path jdk25 = fakeJdk(folder.resolve("jdk-25"), "25.0.3", "echo \"$*\"");
    Path choice = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");
    boolean given = Files.exists(choice) && !Files.readString(choice).contains("[never]");

    String output = runScript(folder, jdk25, 0, "chat");

    assertThat(output.contains(" -XX:+UseTransparentHugePages ")).isEqualTo(given);
  }

  @Test
  void theScriptPreparesQuickStartsAgainForAnotherJdkAndForNewerJars(@TempDir Path folder)
      throws IOException, InterruptedException {
    copyScript(folder);
    Path libraries = emptyJars(folder);
    Path jdk25 = fakeJdk(folder.resolve("jdk-25"), "25.0.3", "echo run");
    Path jdk26 = fakeJdk(folder.resolve("jdk-26"), "26", "echo run");
    assertThat(runScript(folder, jdk25, 0, "chat")).contains("preparing");
    assertThat(runScript(folder, jdk25, 0, "chat")).isEqualTo("run\n");

    assertThat(runScript(folder, jdk26, 0, "chat")).contains("preparing");
    assertThat(runScript(folder, jdk26, 0, "chat")).isEqualTo("run\n");
    FileTime later = FileTime.from(Instant.now().plusSeconds(5));
    Files.setLastModifiedTime(libraries.resolve("fathom-core-0.1.0-SNAPSHOT.jar"), later);
    assertThat(runScript(folder, jdk26, 0, "chat")).contains("preparing");
  }

  private static void copyScript(Path folder) throws IOException {
    Path root = Path.of("..").toRealPath();
    Path copy = Files.createDirectories(folder.resolve(".mvn"));
    String finder = Files.readString(root.resolve(".mvn/find-jdk.sh"));
    assertThat(finder).contains(SEARCHED);
    Files.writeString(copy.resolve("find-jdk.sh"), finder.replace(SEARCHED, "\"$HOME\"/none/*"));
    Files.copy(root.resolve("fathom"), folder.resolve("fathom"));
  }

  /** Returns the folder of the modules' jars. */
  private static Path emptyJars(Path folder) throws IOException {
    Path libraries = Files.createDirectories(folder.resolve("examples/target/lib"));
    Files.createFile(folder.resolve("examples/target/fathom-examples-0.1.0-SNAPSHOT.jar"));
    for (String module : MODULES) {
      Files.createFile(libraries.resolve("fathom-" + module + "-0.1.0-SNAPSHOT.jar"));
    }
    return libraries;
  }

  private static String runScript(Path folder, Path jdk, int exitCode, String... args)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("bash", folder.resolve("fathom").toString()));
    command.addAll(List.of(args));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().clear();
    builder.environment().put("HOME", folder.toString());
    builder.environment().put("JAVA_HOME", jdk.toString());
    builder.environment().put("PATH", jdk.resolve("bin") + ":/usr/bin:/bin");
    Process process = builder.redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(output).isEqualTo(exitCode);
    return output;
  }

  private static Path fakeJdk(Path home, String version, String action) throws IOException {
    Path bin = Files.createDirectories(home.resolve("bin"));
    Files.writeString(home.resolve("release"), "JAVA_VERSION=\"" + version + "\"\n");
    for (String name : List.of("java", "javac")) {
      Path program = bin.resolve(name);
      Files.writeString(program, "#!/bin/sh\n" + action + "\n");
      Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
    return home;
  }
}
