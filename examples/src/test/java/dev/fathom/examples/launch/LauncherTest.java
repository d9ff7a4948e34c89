package dev.fathom.examples.launch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LauncherTest {

  private static final int JAVA_8_CLASS_FILE = 52;

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
    Path root = Path.of("..").toRealPath();
    Path copy = Files.createDirectories(folder.resolve(".mvn"));
    String search = "/usr/lib/jvm/* /usr/java/* /opt/* /opt/*/*";
    String finder = Files.readString(root.resolve(".mvn/find-jdk.sh"));
    assertThat(finder).contains(search);
    Files.writeString(copy.resolve("find-jdk.sh"), finder.replace(search, "\"$HOME\"/none/*"));
    Files.copy(root.resolve("fathom"), folder.resolve("fathom"));
    Path jdk17 = fakeJdk(folder.resolve("jdk-17"), "17.0.15");

    ProcessBuilder builder =
        new ProcessBuilder("bash", folder.resolve("fathom").toString(), "chat");
    builder.environment().clear();
    builder.environment().put("HOME", folder.toString());
    builder.environment().put("JAVA_HOME", jdk17.toString());
    builder.environment().put("PATH", jdk17.resolve("bin") + ":/usr/bin:/bin");
    Process process = builder.redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(2);
    assertThat(output).contains("Fathom needs a JDK 25 or newer", jdk17.toString(), "Fix: install");
  }

  private static Path fakeJdk(Path home, String version) throws IOException {
    Path bin = Files.createDirectories(home.resolve("bin"));
    Files.writeString(home.resolve("release"), "JAVA_VERSION=\"" + version + "\"\n");
    for (String name : new String[] {"java", "javac"}) {
      Path program = bin.resolve(name);
      Files.writeString(program, "#!/bin/sh\necho 'openjdk version \"" + version + "\"' >&2\n");
      Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
    return home;
  }
}
