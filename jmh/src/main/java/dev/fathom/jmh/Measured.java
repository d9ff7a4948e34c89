package dev.fathom.jmh;

import java.util.Arrays;
import java.util.Collection;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;

/**
 * What came out for a row.
 *
 * @param row what was measured
 * @param forkMillis time of a step, the mean of each fork
 * @param gigabytes from memory a second, mean of the forks
 * @param cachedGigabytes from and to the cache a second
 * @param gigaflops a second
 */
record Measured(
    Row row, double[] forkMillis, double gigabytes, double cachedGigabytes, double gigaflops) {

  static Measured of(Row row, RunResult result) {
    double[] millis =
        result.getBenchmarkResults().stream()
            .mapToDouble(fork -> 1000 / fork.getPrimaryResult().getScore())
            .toArray();
    return new Measured(
        row, millis, rate(result, "bytes"), rate(result, "cachedBytes"), rate(result, "flops"));
  }

  private static double rate(RunResult result, String counter) {
    return result.getBenchmarkResults().stream()
            .mapToDouble(fork -> score(fork, counter))
            .average()
            .orElse(0)
        / 1e9;
  }

  private static double score(BenchmarkResult fork, String counter) {
    Result<?> counted = fork.getSecondaryResults().get(counter);
    return counted == null ? 0 : counted.getScore();
  }

  /** Returns the best iteration's rate of a counter, in 10^9: neighbours only slow down. */
  static double best(RunResult result, String counter) {
    return result.getBenchmarkResults().stream()
            .map(BenchmarkResult::getIterationResults)
            .flatMap(Collection::stream)
            .mapToDouble(iteration -> score(iteration, counter))
            .max()
            .orElse(0)
        / 1e9;
  }

  private static double score(IterationResult iteration, String counter) {
    Result<?> counted = iteration.getSecondaryResults().get(counter);
    return counted == null ? 0 : counted.getScore();
  }

  /** Returns the mean of the forks, in milliseconds. */
  double mean() {
    return Arrays.stream(forkMillis).average().orElse(Double.NaN);
  }

  /** Returns the standard deviation between forks, NaN for one. */
  double deviation() {
    double mean = mean();
    double squares = Arrays.stream(forkMillis).map(t -> (t - mean) * (t - mean)).sum();
    return Math.sqrt(squares / (forkMillis.length - 1));
  }

  /** Returns the fastest fork, in milliseconds. */
  double best() {
    return Arrays.stream(forkMillis).min().orElse(Double.NaN);
  }

  /** Returns the slowest fork, in milliseconds. */
  double worst() {
    return Arrays.stream(forkMillis).max().orElse(Double.NaN);
  }
}
