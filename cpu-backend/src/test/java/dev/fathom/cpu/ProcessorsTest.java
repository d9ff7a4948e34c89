package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The threads of a team where nobody says how many. */
class ProcessorsTest {

  private static final Path TASKSET = Path.of("/usr/bin/taskset");

  @TempDir Path folder;
  private Path cpus;
  private Path status;

  /** What a child JVM runs. */
  static final class Child {
    public static void main(String[] args) {
      System.out.println("count=" + Processors.count());
    }
  }

  /** Four hardware threads of two cores: 0 and 2, 1 and 3. */
  @BeforeEach
  void twoCores() throws IOException {
    cpus = folder.resolve("cpus");
    status = folder.resolve("status");
    for (int cpu = 0; cpu < 4; cpu++) {
      Path topology = Files.createDirectories(cpus.resolve("cpu" + cpu).resolve("topology"));
      Files.writeString(
          topology.resolve("thread_siblings_list"), cpu % 2 + "," + (cpu % 2 + 2) + "\n");
    }
  }

  private int coresAllowed(String list) throws IOException {
    Files.writeString(status, "Name:\tjava\nCpus_allowed:\tf\nCpus_allowed_list:\t" + list + "\n");
    return Processors.cores(cpus, status);
  }

  @Test
  void siblingsOfACoreCountOnce() throws IOException {
    assertThat(Processors.cores(cpus, status)).as("no list").isEqualTo(2);
    assertThat(coresAllowed("0-3")).isEqualTo(2);
    assertThat(Processors.cores(folder.resolve("none"), status)).as("unknown").isZero();
    assertThat(Processors.count()).isBetween(1, Runtime.getRuntime().availableProcessors());
  }

  @Test
  void coresOutsideTheCpusetDoNotCount() throws IOException {
    assertThat(coresAllowed("0,2")).as("two threads of one core").isEqualTo(1);
    assertThat(coresAllowed("0-1")).isEqualTo(2);
    assertThat(coresAllowed("1,3")).isEqualTo(1);
    assertThat(coresAllowed("3")).isEqualTo(1);
  }

  @Test
  void aListThatCannotBeReadIsNoReasonToFail() throws IOException {
    assertThat(coresAllowed("some")).isZero();
  }

  @Test
  void theQuotaThatTheJvmKnowsIsTheMost() throws IOException, InterruptedException {
    assertThat(child("-XX:ActiveProcessorCount=1")).contains("count=1");
  }

  @Test
  void aProcessOfOneProcessorHasOneThread() throws IOException, InterruptedException {
    assumeTrue(Files.isExecutable(TASKSET), "no taskset on this machine");
    String first =
        Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(line -> line.startsWith("Cpus_allowed_list:"))
            .map(line -> line.substring(line.indexOf(':') + 1).strip().split("[-,]")[0])
            .findFirst()
            .orElseThrow();
    assertThat(run(List.of(TASKSET.toString(), "-c", first), "-Xshare:auto")).contains("count=1");
  }

  /**
   * A quota of the kernel, which the JVM turns into processors; needs the right to make a group.
   */
  @Test
  void aQuotaOfOneProcessorGivesOneThread() throws IOException, InterruptedException {
    Path root = Path.of("/sys/fs/cgroup");
    boolean isSecond = Files.exists(root.resolve("cgroup.controllers"));
    Path parent = isSecond ? root : root.resolve("cpu");
    Path group = parent.resolve("fathom-test-" + ProcessHandle.current().pid());
    assumeTrue(Files.isWritable(parent), "no right to make a group of processes here");
    Files.createDirectory(group);
    try {
      Path quota = group.resolve(isSecond ? "cpu.max" : "cpu.cfs_quota_us");
      assumeTrue(Files.isWritable(quota), "groups here have no quota");
      Files.writeString(quota, isSecond ? "100000 100000" : "100000");
      String join = "echo $$ > '" + group.resolve("cgroup.procs") + "' && exec \"$@\"";
      assertThat(run(List.of("/bin/sh", "-c", join, "sh"), "-Xshare:auto")).contains("count=1");
    } finally {
      Files.delete(group);
    }
  }

  private static String child(String flag) throws IOException, InterruptedException {
    return run(List.of(), flag);
  }

  private static String run(List<String> before, String flag)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(before);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(flag, "-cp", System.getProperty("java.class.path")));
    command.add(Child.class.getName());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(out).isZero();
    return out;
  }
}
