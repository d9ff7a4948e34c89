package dev.fathom.engine;

import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.sampling.HostSampler;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;

/**
 * Steps of made-up tokens, until the JVM has compiled what a step runs. They leave nothing behind:
 * the blocks of the cache that they write are written again before a request reads them, and the
 * experts' counters begin at zero afterwards.
 */
public final class WarmUp {

  /** Tokens of a made-up prompt, if a step and a sequence take so many. */
  private static final int PROMPT = 32;

  /** Steps that are compared with the fastest one. */
  private static final int WINDOW = 16;

  /** How much slower than the fastest one the median of the window may be. */
  private static final double STEADY = 1.25;

  /** Windows without a faster step before that counts: compilation comes in bursts. */
  private static final int CALM_WINDOWS = 3;

  private final Executable executable;
  private final CompileOptions options;
  private final int vocabSize;
  private final StepBatch batch;
  private final SamplingRows rows = new SamplingRows(1);
  private final HostSampler sampler = new HostSampler();

  private WarmUp(Executable executable, CompileOptions options, int vocabSize) {
    this.executable = executable;
    this.options = options;
    this.vocabSize = vocabSize;
    this.batch = executable.newBatch();
  }

  /**
   * Runs steps until they are steady or the time is over; a step that began is finished.
   *
   * @param executable that no engine uses yet
   * @param options it was compiled with
   * @param vocabSize token ids
   * @param most time
   * @return the steps that were run
   */
  public static int run(
      Executable executable, CompileOptions options, int vocabSize, Duration most) {
    executable.beginWarmUp();
    WarmUp warmUp = new WarmUp(executable, options, vocabSize);
    int steps = warmUp.run(System.nanoTime() + TimeUnit.NANOSECONDS.convert(most));
    executable.expertLoads().clear();
    return steps;
  }

  private int run(long deadline) {
    long capacity = (long) options.maxBlocksPerSequence() * options.blockTokens();
    for (int blocks : options.numBlocks()) {
      capacity = Math.min(capacity, (long) blocks * options.blockTokens());
    }
    int prompt = (int) Math.min(Math.min(PROMPT, options.maxTokens()), capacity - 1);
    long[] window = new long[WINDOW];
    long best = Long.MAX_VALUE;
    int steps = 0;
    int calm = 0;
    while (prompt > 0 && calm < CALM_WINDOWS && System.nanoTime() - deadline < 0) {
      step(0, prompt);
      steps++;
      int n = 0;
      while (n < WINDOW && System.nanoTime() - deadline < 0) {
        long before = System.nanoTime();
        step(prompt, 1);
        window[n++] = System.nanoTime() - before;
      }
      steps += n;
      Arrays.sort(window, 0, n);
      boolean isSteady = n == WINDOW && window[n / 2] < STEADY * Math.min(best, window[0]);
      calm = isSteady && window[0] > best / STEADY ? calm + 1 : 0;
      best = n == 0 ? best : Math.min(best, window[0]);
    }
    return steps;
  }

  private void step(int position, int tokens) {
    batch.clear();
    rows.clear();
    batch.addSequence(StepBatch.NO_ADAPTER, 1);
    int blocks = Math.ceilDiv(position + tokens, options.blockTokens());
    for (int group = 0; group < executable.numKvGroups(); group++) {
      for (int block = 0; block < blocks; block++) {
        batch.addBlock(group, block);
      }
    }
    for (int t = 0; t < tokens; t++) {
      batch.addToken((position + 7 * t) % vocabSize, position + t);
    }
    rows.addGreedy();
    executable.submit(batch, rows, sampler).await();
  }
}
