package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The engine's loop over simulated backends and clients; see {@link EngineSimulation}. */
class EngineSimulationTest {

  private static final String REPEAT =
      "./mvnw -pl core -am test -Dtest=EngineSimulationTest#everySeedKeepsTheInvariants -Dsim.seed=";

  private static EngineSimulation run(long seed, EngineSimulation.Bug bug) {
    EngineSimulation simulation = new EngineSimulation(seed, bug);
    simulation.run();
    return simulation;
  }

  @Test
  void everySeedKeepsTheInvariants(TestReporter reporter) {
    Long only = Long.getLong("sim.seed");
    long first = only == null ? Long.getLong("sim.first", 0) : only;
    long count = only == null ? Long.getLong("sim.seeds", 2000) : 1;
    long steps = 0;
    long requests = 0;
    long preemptions = 0;
    long hits = 0;
    long tokens = 0;
    int small = 0;
    long begin = System.nanoTime();
    for (long seed = first; seed < first + count; seed++) {
      EngineSimulation simulation;
      try {
        simulation = run(seed, EngineSimulation.Bug.NONE);
      } catch (RuntimeException | AssertionError e) {
        fail("seed " + seed + " failed; repeat it with: " + REPEAT + seed, e);
        return;
      }
      steps += simulation.numSteps();
      requests += simulation.numRequests();
      preemptions += simulation.numPreemptions();
      hits += simulation.numHitTokens();
      tokens += simulation.numTokens();
      boolean isFull =
          simulation.numSteps() >= EngineSimulation.MIN_STEPS
              && simulation.numRequests() >= EngineSimulation.MIN_REQUESTS;
      small += isFull ? 0 : 1;
    }
    double millis = (System.nanoTime() - begin) / 1e6;
    Numbers.note(reporter, 
        "seeds=%d steps=%d requests=%d tokens=%d preemptions=%d cachedTokens=%d broken=%d ms=%.0f"
            .formatted(count, steps, requests, tokens, preemptions, hits, small, millis));
    if (count >= 2000) {
      assertThat(preemptions).isGreaterThan(count);
      assertThat(hits).isGreaterThan(count);
      assertThat(tokens).isGreaterThan(20 * count);
      assertThat(small).as("seeds that a broken backend cut short").isLessThan((int) (count / 10));
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void plantedBugsAreFound(EngineSimulation.Bug bug) {
    for (long seed = 0; seed < 300; seed++) {
      try {
        run(seed, bug);
      } catch (RuntimeException | AssertionError found) {
        return;
      }
    }
    fail("not found in 300 seeds: " + bug);
  }
}
