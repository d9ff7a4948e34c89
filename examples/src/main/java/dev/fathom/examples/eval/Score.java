package dev.fathom.examples.eval;

import java.time.Duration;

/**
 * What a model reached in one task.
 *
 * @param task name of the task
 * @param metric what the value is
 * @param value the share of right answers, or the perplexity
 * @param count answers, or predicted tokens
 * @param took wall-clock time of the task
 */
public record Score(String task, Metric metric, double value, long count, Duration took) {

  /** What is measured. */
  public enum Metric {
    /** The share of right answers, 0 to 1. */
    EXACT_MATCH("exact match", "answers"),
    /** exp of the mean negative log-likelihood of a token; 1 is perfect. */
    PERPLEXITY("perplexity", "tokens");

    private final String title;
    private final String unit;

    Metric(String title, String unit) {
      this.title = title;
      this.unit = unit;
    }

    /** Returns the name for people. */
    public String title() {
      return title;
    }

    /** Returns what is counted. */
    public String unit() {
      return unit;
    }
  }
}
