package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
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
  void everyItemOfARangeIsComputedOnceInWholeGrains() {
    for (int threads = 1; threads <= 5; threads++) {
      try (ThreadTeam team = new ThreadTeam(threads)) {
        for (int items : new int[] {0, 1, 31, 32, 33, 100, 1408, 5000}) {
          for (int grain : new int[] {1, 32, 64, 512}) {
            AtomicIntegerArray seen = new AtomicIntegerArray(items);
            team.run(
                items,
                grain,
                (from, to, part) -> {
                  assertThat(from % grain).isZero();
                  assertThat(to % grain == 0 || to == items).isTrue();
                  for (int i = from; i < to; i++) {
                    seen.incrementAndGet(i);
                  }
                });
            for (int i = 0; i < items; i++) {
              assertThat(seen.get(i)).as("item %d of %d", i, items).isEqualTo(1);
            }
          }
        }
      }
    }
  }

  @Test
  void otherThreadsTakeWhatASlowOneHasLeft() {
    try (ThreadTeam team = new ThreadTeam(2)) {
      AtomicInteger byOthers = new AtomicInteger();
      team.run(
          80,
          1,
          (from, to, part) -> {
            if (part == 1) {
              byOthers.addAndGet(to - from);
            } else {
              awaitValue(byOthers, 80 - (to - from));
            }
          });
    }
  }

  private static void awaitValue(AtomicInteger number, int value) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (number.get() != value && System.nanoTime() < end) {
      Thread.onSpinWait();
    }
    assertThat(number.get()).isEqualTo(value);
  }

  @Test
  void aFailureInARangeReachesTheCallerAndTheTeamGoesOn() {
    try (ThreadTeam team = new ThreadTeam(2)) {
      assertThatThrownBy(() ->
              team.run(
                  100,
                  1,
                  (from, to, part) -> {
                    throw new IllegalStateException("range");
                  }))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("range");
      AtomicInteger items = new AtomicInteger();
      team.run(100, 1, (from, to, part) -> items.addAndGet(to - from));
      assertThat(items.get()).isEqualTo(100);
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
