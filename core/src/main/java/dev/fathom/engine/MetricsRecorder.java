package dev.fathom.engine;

import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/**
 * Numbers of an engine: its thread writes, any thread reads, nobody waits and nothing is allocated
 * by a write.
 *
 * <p>All numbers lie in one array behind a version that is odd while an event is written. A reader
 * copies the array and takes the copy if the version was even and the same before and after: so a
 * snapshot lies between two events, and what belongs together (a histogram's buckets, sum and
 * count; a request's end and its tokens) fits together.
 */
public final class MetricsRecorder {

  /** Upper bounds in seconds of times to the first token and of whole requests. */
  static final double[] LONG_SECONDS = {
    .001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
    2560
  };

  /** Upper bounds in seconds of the times between tokens. */
  static final double[] SHORT_SECONDS = {
    .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1,
    2.5, 5, 7.5, 10, 20, 40, 80
  };

  /** Upper bounds of numbers of tokens. */
  static final double[] TOKENS = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6
  };

  /** A number that only grows. */
  public enum Counter {
    /** Steps that ended well. */
    STEPS,
    /** Steps that failed. */
    FAILED_STEPS,
    /** Tokens of prompts whose requests started. */
    PROMPT_TOKENS,
    /** Tokens put out. */
    GENERATION_TOKENS,
    /** Tokens looked for in the prefix cache. */
    PREFIX_QUERIES,
    /** Tokens found there. */
    PREFIX_HITS,
    /** Sequences that lost their blocks and were computed again. */
    PREEMPTIONS,
    /** Drafts that were verified. */
    DRAFTS,
    /** Tokens of drafts. */
    DRAFT_TOKENS,
    /** Tokens of drafts that were accepted. */
    ACCEPTED_TOKENS,
    /** Blocks that the second tier took. */
    KEPT_BLOCKS,
    /** Blocks of files that were not as they were written. */
    DAMAGED_BLOCKS,
    /** Tokens that came back from the second tier; they are among the hits. */
    RESTORED_TOKENS
  }

  /** A number as of the last step. */
  public enum Gauge {
    /** Sequences that run. */
    RUNNING,
    /** Requests whose readers have no room. */
    PAUSED,
    /** KV blocks in use, all groups together. */
    USED_BLOCKS
  }

  /** Values in buckets. */
  public enum Histogram {
    /** From submission to the first token. */
    TIME_TO_FIRST_TOKEN(LONG_SECONDS, true),
    /** Between two tokens of a choice's request. */
    INTER_TOKEN(SHORT_SECONDS, true),
    /** Mean of a request after its first token. */
    TIME_PER_OUTPUT_TOKEN(SHORT_SECONDS, true),
    /** From submission to the end. */
    END_TO_END(LONG_SECONDS, true),
    /** From submission to the first step. */
    QUEUE(LONG_SECONDS, true),
    /** From the first step to the first token. */
    PREFILL(LONG_SECONDS, true),
    /** From the first token to the end. */
    DECODE(LONG_SECONDS, true),
    /** Tokens of the prompt. */
    PROMPT_TOKENS(TOKENS, false),
    /** Tokens put out by all choices. */
    GENERATION_TOKENS(TOKENS, false),
    /** Tokens of a step. */
    STEP_TOKENS(TOKENS, false);

    private final double[] bounds;
    private final boolean seconds;
    private int first;

    static {
      int next = 0;
      for (Histogram histogram : values()) {
        histogram.first = next;
        next += histogram.bounds.length + 2;
      }
    }

    Histogram(double[] bounds, boolean seconds) {
      this.bounds = bounds;
      this.seconds = seconds;
    }

    /** Returns the upper bounds of the buckets, rising. */
    public double[] bounds() {
      return bounds.clone();
    }

    /** Returns whether the values are times. */
    public boolean isSeconds() {
      return seconds;
    }
  }

  private static final int COUNTERS = 0;
  private static final int GAUGES = Counter.values().length;
  private static final int REASONS = GAUGES + Gauge.values().length;
  private static final int HISTOGRAMS = REASONS + EndReason.values().length;
  private static final int SIZE = HISTOGRAMS + sizeOfHistograms();
  private static final double NANOS = 1e9;
  private static final int MAX_TRIES = 1_000_000;

  private final AtomicLongArray values = new AtomicLongArray(SIZE);
  private final AtomicLong version = new AtomicLong();

  private static int sizeOfHistograms() {
    int size = 0;
    for (Histogram histogram : Histogram.values()) {
      size += histogram.bounds.length + 2;
    }
    return size;
  }

  /** Starts an event. */
  void begin() {
    version.setOpaque(version.getOpaque() + 1);
    VarHandle.storeStoreFence();
  }

  /** Ends an event. */
  void end() {
    version.setRelease(version.getOpaque() + 1);
  }

  /** Adds to a counter, inside an event. */
  void add(Counter counter, long amount) {
    add(COUNTERS + counter.ordinal(), amount);
  }

  /** Sets a gauge, inside an event. */
  void set(Gauge gauge, long value) {
    values.setOpaque(GAUGES + gauge.ordinal(), value);
  }

  /** Counts the end of a choice, inside an event. */
  void countEnd(EndReason reason) {
    add(REASONS + reason.ordinal(), 1);
  }

  /** Puts a time into its bucket, inside an event. */
  void observeNanos(Histogram histogram, long nanos) {
    observe(histogram, nanos / NANOS, nanos);
  }

  /** Puts a number into its bucket, inside an event. */
  void observe(Histogram histogram, long number) {
    observe(histogram, number, number);
  }

  /** Layout of a histogram: a count for each bound, one above all, the sum. */
  private void observe(Histogram histogram, double value, long sum) {
    double[] bounds = histogram.bounds;
    int bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]) {
      bucket++;
    }
    int first = HISTOGRAMS + histogram.first;
    add(first + bucket, 1);
    add(first + bounds.length + 1, sum);
  }

  private void add(int index, long amount) {
    values.setOpaque(index, values.getOpaque(index) + amount);
  }

  /** Copies all numbers as they were between two events; any thread. */
  Snapshot snapshot() {
    long[] copy = new long[SIZE];
    for (int i = 0; i < MAX_TRIES; i++) {
      long before = version.getAcquire();
      for (int j = 0; j < SIZE; j++) {
        copy[j] = values.getOpaque(j);
      }
      VarHandle.loadLoadFence();
      if ((before & 1) == 0 && before == version.getOpaque()) {
        break;
      }
      Thread.onSpinWait();
      if (i % 100 == 99) {
        LockSupport.parkNanos(1_000);
      }
    }
    return new Snapshot(copy);
  }

  /** Numbers between two events. */
  public static final class Snapshot {

    private final long[] values;

    Snapshot(long[] values) {
      this.values = values;
    }

    /** Returns a counter. */
    public long get(Counter counter) {
      return values[COUNTERS + counter.ordinal()];
    }

    /** Returns a gauge. */
    public long get(Gauge gauge) {
      return values[GAUGES + gauge.ordinal()];
    }

    /** Returns how many choices ended so. */
    public long ends(EndReason reason) {
      return values[REASONS + reason.ordinal()];
    }

    /** Returns how many values each bucket has, the last for those above all bounds. */
    public long[] counts(Histogram histogram) {
      int first = HISTOGRAMS + histogram.first;
      return Arrays.copyOfRange(values, first, first + histogram.bounds.length + 1);
    }

    /** Returns the sum of the values, in seconds where they are times. */
    public double sum(Histogram histogram) {
      double sum = values[HISTOGRAMS + histogram.first + histogram.bounds.length + 1];
      return histogram.isSeconds() ? sum / NANOS : sum;
    }
  }
}
