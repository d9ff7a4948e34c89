package dev.fathom.examples.bench;

import dev.fathom.DeepSeekModel;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.Timings;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * Runs of a prompt of random tokens and a greedy answer of fixed length, each with another prompt.
 *
 * @param promptTokens tokens of each prompt
 * @param completionTokens tokens of each answer
 * @param sequences prompts that run at once
 */
public record Bench(int promptTokens, int completionTokens, int sequences) {

  private static final int WARM_UP_ROUND = 25;

  private static final double NANOS = 1e9;

  /** The compiler takes this long, however soon a small model is done. */
  private static final Duration LEAST_WARM_UP = Duration.ofSeconds(2);

  /**
   * What was measured.
   *
   * @param prompt prompt tokens a second, all sequences together, one number a run
   * @param generation tokens after the first a second, likewise
   */
  public record Result(List<Double> prompt, List<Double> generation) {

    /** Returns the mean. */
    public static double mean(List<Double> values) {
      return values.stream().mapToDouble(v -> v).average().orElse(0);
    }

    /** Returns the standard deviation of the sample, 0 for one value. */
    public static double deviation(List<Double> values) {
      double mean = mean(values);
      double squares = values.stream().mapToDouble(v -> (v - mean) * (v - mean)).sum();
      return values.size() < 2 ? 0 : Math.sqrt(squares / (values.size() - 1));
    }
  }

  /**
   * Warms up, with up to 1,200 tokens or 45 seconds of generation and runs that do not count; then
   * runs so many times.
   *
   * @param between runs before the first run that counts and after each of them
   */
  public Result run(DeepSeekModel model, int vocabSize, int runs, Runnable between) {
    SplittableRandom random = new SplittableRandom(1);
    List<Double> prompt = new ArrayList<>();
    List<Double> generation = new ArrayList<>();
    warmUp(model, vocabSize, random);
    between.run();
    for (int run = 0; run < runs; run++) {
      once(model, prompts(vocabSize, random, promptTokens), prompt, generation);
      between.run();
    }
    return new Result(prompt, generation);
  }

  // The kernels of a step are compiled first, for few tokens, then those of a prompt. What a layer
  // calls once counts as often called after a thousand steps only: until then the compiler takes a
  // processor from the kernels every few steps.
  private void warmUp(DeepSeekModel model, int vocabSize, SplittableRandom random) {
    generate(model, prompts(vocabSize, random, 1), 200, Duration.ofSeconds(5));
    long begin = System.nanoTime();
    do {
      once(model, prompts(vocabSize, random, promptTokens), new ArrayList<>(), new ArrayList<>());
    } while (System.nanoTime() - begin < LEAST_WARM_UP.toNanos());
    generate(model, prompts(vocabSize, random, promptTokens), 1000, Duration.ofSeconds(40));
  }

  /** Few tokens at a time, so that a slow model, or a long answer, does not go on much longer. */
  private void generate(DeepSeekModel model, List<int[]> prompts, int tokens, Duration most) {
    long begin = System.nanoTime();
    int round = Math.min(completionTokens, WARM_UP_ROUND);
    for (int done = 0; done < tokens && System.nanoTime() - begin < most.toNanos(); done += round) {
      submit(model, prompts, round);
    }
  }

  /**
   * Runs once and notes tokens a second. Prompts of several sequences go first, for one token each,
   * and again with the cached prefixes: so all begin to generate in the same step, and end in one.
   */
  private void once(
      DeepSeekModel model, List<int[]> prompts, List<Double> prompt, List<Double> generation) {
    long promptsTokens = (long) promptTokens * sequences;
    if (sequences > 1) {
      long begin = System.nanoTime();
      submit(model, prompts, 1);
      prompt.add(promptsTokens * NANOS / (System.nanoTime() - begin));
    }
    List<Timings> timings = submit(model, prompts, completionTokens);
    if (sequences == 1) {
      prompt.add(rate(timings, promptsTokens, t -> t.prefill().toNanos()));
    }
    long tokens = (long) (completionTokens - 1) * sequences;
    generation.add(rate(timings, tokens, t -> t.decode().toNanos()));
  }

  private List<int[]> prompts(int vocabSize, SplittableRandom random, int tokens) {
    return IntStream.range(0, sequences)
        .mapToObj(i -> random.ints(tokens, 0, vocabSize).toArray())
        .toList();
  }

  private static List<Timings> submit(DeepSeekModel model, List<int[]> prompts, int completion) {
    return prompts.stream().map(ids -> model.submit(request(ids, completion))).toList().stream()
        .map(future -> future.join().timings())
        .toList();
  }

  private static GenerationRequest request(int[] ids, int completion) {
    return GenerationRequest.of(Prompt.tokens(ids))
        .maxTokens(completion)
        .ignoreEos(true)
        .temperature(0)
        .build();
  }

  /** Tokens by the mean time of the sequences, which run side by side. */
  private static double rate(List<Timings> timings, long tokens, ToDoubleFunction<Timings> nanos) {
    double mean = timings.stream().mapToDouble(nanos).average().orElse(0);
    return mean <= 0 ? 0 : tokens * NANOS / mean;
  }
}
