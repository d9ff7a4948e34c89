package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import dev.fathom.kvcache.GroupPool;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The engine's loop over simulated backends and clients; see {@link EngineSimulation}.
 *
 * <p>System properties: {@code sim.seed} runs this seed alone, {@code sim.first} and {@code
 * sim.seeds} run others than the first 2,000, {@code sim.bug} plants a {@link PlantedBug}; the
 * profile {@code million-seeds} runs a million seeds.
 */
class EngineSimulationTest {

  private static final String REPEAT =
      "./mvnw -pl core -am test -Dtest=EngineSimulationTest#everySeedKeepsTheInvariants"
          + " -Dsurefire.failIfNoSpecifiedTests=false -Dsim.seed=";

  /** Seeds within which every planted bug is found. */
  private static final int SEEDS_TO_FIND = 500;

  private static EngineSimulation run(long seed, PlantedBug bug) {
    EngineSimulation simulation = new EngineSimulation(seed, bug);
    simulation.run();
    return simulation;
  }

  @Test
  void everySeedKeepsTheInvariants(TestReporter reporter) {
    Long only = Long.getLong("sim.seed");
    long first = only == null ? Long.getLong("sim.first", 0) : only;
    long count = only == null ? Long.getLong("sim.seeds", 2000) : 1;
    PlantedBug bug = PlantedBug.valueOf(System.getProperty("sim.bug", PlantedBug.NONE.name()));
    long steps = 0;
    long requests = 0;
    long preemptions = 0;
    long hits = 0;
    long tokens = 0;
    long guesses = 0;
    long restored = 0;
    long small = 0;
    long begin = System.nanoTime();
    for (long seed = first; seed < first + count; seed++) {
      EngineSimulation simulation;
      try {
        simulation = run(seed, bug);
      } catch (RuntimeException | AssertionError e) {
        String planted = bug == PlantedBug.NONE ? "" : " -Dsim.bug=" + bug;
        fail("seed " + seed + " failed; repeat it with: " + REPEAT + seed + planted, e);
        return;
      }
      steps += simulation.numSteps();
      requests += simulation.numRequests();
      preemptions += simulation.numPreemptions();
      hits += simulation.numHitTokens();
      tokens += simulation.numTokens();
      guesses += simulation.numHeldGuesses();
      restored += simulation.numRestoredTokens();
      boolean isFull =
          simulation.numSteps() >= EngineSimulation.MIN_STEPS
              && simulation.numRequests() >= EngineSimulation.MIN_REQUESTS;
      assertThat(isFull || simulation.isBroken()).as("seed %d is large enough", seed).isTrue();
      small += isFull ? 0 : 1;
    }
    double millis = (System.nanoTime() - begin) / 1e6;
    Numbers.note(
        reporter,
        "seeds=%d steps=%d requests=%d tokens=%d preemptions=%d cachedTokens=%d guesses=%d"
                .formatted(count, steps, requests, tokens, preemptions, hits, guesses)
            + " restored=%d broken=%d ms=%.0f".formatted(restored, small, millis));
    if (count >= 2000) {
      assertThat(preemptions).isGreaterThan(count);
      assertThat(hits).isGreaterThan(count);
      assertThat(guesses).isGreaterThan(count);
      assertThat(restored).isGreaterThan(count);
      assertThat(tokens).isGreaterThan(20 * count);
      assertThat(small).as("seeds that a broken backend cut short").isLessThan(count / 10);
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void plantedBugsAreFound(PlantedBug bug, TestReporter reporter) {
    for (long seed = 0; seed < SEEDS_TO_FIND; seed++) {
      try {
        run(seed, bug);
      } catch (RuntimeException | AssertionError found) {
        Throwable root = found.getCause() == null ? found : found.getCause();
        Numbers.note(reporter, "bug=%s seeds=%d by=%s".formatted(bug, seed + 1, root.getMessage()));
        return;
      }
    }
    fail("not found in " + SEEDS_TO_FIND + " seeds: " + bug);
  }

  @Test
  void aSeedHappensInJustTheSameWayAgain() {
    for (long seed = 0; seed < 20; seed++) {
      long first = run(seed, PlantedBug.NONE).digest();
      assertThat(run(seed, PlantedBug.NONE).digest()).as("seed %d", seed).isEqualTo(first);
      assertThat(run(seed + 1, PlantedBug.NONE).digest()).isNotEqualTo(first);
    }
  }

  @Test
  void poolsThatCannotHoldOneContextAreRefusedSoThatEveryRequestCanRun() {
    GroupPool pool = new GroupPool(2, 0, 5);
    assertThatThrownBy(
            () -> new EngineOptions(10, 1, 1, 1, 1, List.of(pool), 1, 8, SchedulingOptions.DEFAULT))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("numBlocks=5");
  }
}
