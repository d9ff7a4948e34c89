package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class ThreadTeamTest {

  private static Set<Thread> workers() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(t -> t.getName().startsWith("fathom-cpu-"))
        .collect(Collectors.toSet());
  }

  @Test
  void everyPartRunsOnceOnItsOwnThread() {
    try (ThreadTeam team = new ThreadTeam(3)) {
      for (int round = 0; round < 500; round++) {
        Set<String> names = ConcurrentHashMap.newKeySet();
        AtomicInteger parts = new AtomicInteger();
        team.run((part, numParts) -> {
          assertThat(numParts).isEqualTo(3);
          parts.addAndGet(1 << (4 * part));
          names.add(part == 0 ? "caller" : Thread.currentThread().getName());
        });
        assertThat(parts.get()).isEqualTo(0x111);
        assertThat(names).containsExactlyInAnyOrder("caller", "fathom-cpu-1", "fathom-cpu-2");
      }
    }
  }

  @Test
  void aFailureOfAWorkerReachesTheCallerAndTheTeamGoesOn() {
    try (ThreadTeam team = new ThreadTeam(2)) {
      assertThatThrownBy(() ->
              team.run((part, numParts) -> {
                if (part == 1) {
                  throw new IllegalStateException("part 1");
                }
              }))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("part 1");
      AtomicInteger parts = new AtomicInteger();
      team.run((part, numParts) -> parts.incrementAndGet());
      assertThat(parts.get()).isEqualTo(2);
    }
  }

  @Test
  void anIdleTeamBurnsNoProcessorTimeAndClosingEndsItsThreads() throws InterruptedException {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    Set<Thread> before = workers();
    ThreadTeam team = new ThreadTeam(3);
    team.run((part, numParts) -> {});
    Set<Thread> own = workers();
    own.removeAll(before);
    assertThat(own).hasSize(2).allMatch(Thread::isDaemon);
    Thread.sleep(200);
    for (Thread worker : own) {
      long nanos = threads.getThreadCpuTime(worker.threadId());
      Thread.sleep(100);
      assertThat(threads.getThreadCpuTime(worker.threadId()) - nanos).isLessThan(5_000_000);
    }
    team.close();
    assertThat(own).noneMatch(Thread::isAlive);
    team.close();
    assertThatThrownBy(() -> team.run((part, numParts) -> {}))
        .isInstanceOf(IllegalStateException.class);
  }
}
