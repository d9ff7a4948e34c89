package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MachineMemoryTest {

  private static final long GIB = 1L << 30;

  @TempDir private Path root;

  private void file(String name, String text) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  @Test
  void withoutAContainerWhatTheMachineHasAvailableCounts() throws IOException {
    file("proc/meminfo", "MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n");
    assertThat(MachineMemory.at(root)).isEqualTo(new MachineMemory(8 * GIB, "machine memory"));
    file("sys/fs/cgroup/memory.max", "max\n");
    assertThat(MachineMemory.at(root).bytes()).isEqualTo(8 * GIB);
  }

  @Test
  void aLowerLimitOfTheContainerBindsLessWhatIsUsedButThePageCache() throws IOException {
    file("proc/meminfo", "MemAvailable: 8388608 kB\n");
    file("proc/self/cgroup", "0::/\n");
    file("sys/fs/cgroup/memory.max", 4 * GIB + "\n");
    file("sys/fs/cgroup/memory.current", 3 * GIB + "\n");
    file("sys/fs/cgroup/memory.stat", "anon 5\ninactive_file " + GIB + "\n");
    assertThat(MachineMemory.at(root))
        .isEqualTo(new MachineMemory(2 * GIB, "container limit 4.0 GiB"));
  }

  @Test
  void theTightestOfNestedGroupsBinds() throws IOException {
    file("proc/meminfo", "MemAvailable: 8388608 kB\n");
    file("proc/self/cgroup", "0::/a/b\n");
    file("sys/fs/cgroup/a/b/memory.max", "max\n");
    file("sys/fs/cgroup/a/memory.max", 3 * GIB + "\n");
    file("sys/fs/cgroup/a/memory.current", 0 + "\n");
    assertThat(MachineMemory.at(root).bytes()).isEqualTo(3 * GIB);
  }

  @Test
  void limitsOfControlGroupsOfTheFirstVersionCountToo() throws IOException {
    file("proc/meminfo", "MemAvailable: 8388608 kB\n");
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", GIB + "\n");
    file("sys/fs/cgroup/memory/memory.usage_in_bytes", GIB / 2 + "\n");
    assertThat(MachineMemory.at(root).bytes()).isEqualTo(GIB / 2);
  }

  @Test
  void thisMachineHasSomeMemory() {
    assertThat(MachineMemory.now().bytes()).isGreaterThan(1 << 20);
    assertThat(MachineMemory.at(root).bytes()).isGreaterThan(1 << 20);
  }
}
