package dev.fathom;

import java.time.Duration;
import java.util.Locale;

/**
 * How long the parts of a generation took.
 *
 * @param queue from the call until its first step was planned
 * @param prefill from then until the first token
 * @param decode from the first token to the last
 * @param promptTokens tokens of the prompt
 * @param completionTokens tokens of all choices
 */
public record Timings(
    Duration queue, Duration prefill, Duration decode, int promptTokens, int completionTokens) {

  private static final double NANOS = 1e9;

  /** Returns prompt tokens a second, 0 where nothing was timed. */
  public double prefillTokensPerSecond() {
    return rate(promptTokens, prefill);
  }

  /** Returns tokens after the first a second, 0 where nothing was timed. */
  public double decodeTokensPerSecond() {
    return rate(completionTokens - 1, decode);
  }

  private static double rate(int tokens, Duration time) {
    double seconds = (double) time.toNanos() / NANOS;
    return seconds <= 0 || tokens <= 0 ? 0 : tokens / seconds;
  }

  /** Returns the rates as one line. */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "queue %d ms, prompt %d tokens %.1f tok/s, generated %d tokens %.1f tok/s",
        queue.toMillis(),
        promptTokens,
        prefillTokensPerSecond(),
        completionTokens,
        decodeTokensPerSecond());
  }
}
