package dev.fathom.examples.bench;

import dev.fathom.DeepSeekModel;
import dev.fathom.EngineMetrics;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;

/**
 * Continuous against static batches, and what the prefix index costs where nothing is found: the
 * same requests, model, kernels and places.
 *
 * <p>{@code Batching MODEL [requests=128] [places=16] [backend=auto]}. Lengths of prompts and
 * answers are exponential with means of 48 and 64 tokens, at most 256 each, from a fixed seed. A
 * static batch begins when the one before has ended altogether.
 */
public final class Batching {

  private static final int MEAN_PROMPT = 48;
  private static final int MEAN_ANSWER = 64;
  private static final int MOST = 256;
  private static final int ROUNDS = 4;

  private final int places;
  private final List<GenerationRequest> requests = new ArrayList<>();
  private final PrintStream out;

  /**
   * What a run took.
   *
   * @param tokens put out
   * @param seconds from the first submission to the last end
   * @param steps of the engine
   */
  private record Run(long tokens, double seconds, long steps) {
    double rate() {
      return tokens / seconds;
    }
  }

  private Batching(int numRequests, int places, int vocabSize, PrintStream out) {
    this.places = places;
    this.out = out;
    SplittableRandom random = new SplittableRandom(11);
    for (int i = 0; i < numRequests; i++) {
      int[] prompt = random.ints(length(random, MEAN_PROMPT), 3, vocabSize).toArray();
      requests.add(
          GenerationRequest.of(Prompt.tokens(prompt))
              .maxTokens(length(random, MEAN_ANSWER))
              .ignoreEos(true)
              .temperature(0)
              .build());
    }
  }

  private static int length(SplittableRandom random, int mean) {
    return Math.clamp((int) Math.ceil(-mean * Math.log(1 - random.nextDouble())), 1, MOST);
  }

  /** Takes the folder of a checkpoint, and optionally requests, places and backend. */
  public static void main(String[] args) {
    int numRequests = args.length > 1 ? Integer.parseInt(args[1]) : 128;
    int places = args.length > 2 ? Integer.parseInt(args[2]) : 16;
    String backend = args.length > 3 ? args[3] : "auto";
    Path path = Path.of(args[0]);
    try (DeepSeekModel with = load(path, backend, places, true);
        DeepSeekModel without = load(path, backend, places, false)) {
      int vocabSize = Math.min(4_000, with.tokenizer().size());
      new Batching(numRequests, places, vocabSize, System.out).compare(with, without);
    }
  }

  private static DeepSeekModel load(Path path, String backend, int places, boolean index) {
    return DeepSeekModel.builder(path)
        .backend(backend)
        .contextTokens(2 * MOST + 1)
        .maxSequences(places)
        .maxQueuedRequests(10_000)
        .prefixCache(index)
        .load();
  }

  private void compare(DeepSeekModel with, DeepSeekModel without) {
    Run bestContinuous = run(with, requests.size(), 0);
    Run bestStatic = run(with, places, 100);
    Run bestWithout = run(without, requests.size(), 0);
    // The first round warms up and counts like the others: it is not the best. Then the order
    // changes from round to round, for who comes first behind a pause is slower.
    for (int round = 1; round <= ROUNDS; round++) {
      if (round % 2 == 0) {
        bestContinuous = faster(bestContinuous, run(with, requests.size(), round));
        bestWithout = faster(bestWithout, run(without, requests.size(), round));
      } else {
        bestWithout = faster(bestWithout, run(without, requests.size(), round));
        bestContinuous = faster(bestContinuous, run(with, requests.size(), round));
      }
      bestStatic = faster(bestStatic, run(with, places, round + 100));
    }
    print("continuous batches", bestContinuous);
    print("static batches", bestStatic);
    print("continuous, no prefix index", bestWithout);
    out.printf(
        Locale.ROOT,
        "continuous / static: %.2f    with index / without: %.3f%n",
        bestContinuous.rate() / bestStatic.rate(),
        bestContinuous.rate() / bestWithout.rate());
  }

  private static Run faster(Run best, Run other) {
    return other.rate() > best.rate() ? other : best;
  }

  private void print(String what, Run run) {
    out.printf(
        Locale.ROOT,
        "%-28s tokens %6d  seconds %7.2f  tokens/s %8.1f  steps %6d%n",
        what,
        run.tokens(),
        run.seconds(),
        run.rate(),
        run.steps());
  }

  private Run run(DeepSeekModel model, int batch, int tenant) {
    EngineMetrics before = model.metrics();
    long begin = System.nanoTime();
    for (int first = 0; first < requests.size(); first += batch) {
      List<CompletableFuture<Generation>> running = new ArrayList<>();
      for (int i = first; i < Math.min(requests.size(), first + batch); i++) {
        running.add(model.submit(requests.get(i).toBuilder().tenant("round-" + tenant).build()));
      }
      running.forEach(CompletableFuture::join);
    }
    double seconds = (System.nanoTime() - begin) / 1e9;
    EngineMetrics after = model.metrics();
    if (after.prefixHits() != before.prefixHits()) {
      throw new IllegalStateException("must find no prefix: hits=" + after.prefixHits());
    }
    long tokens = after.generationTokens() - before.generationTokens();
    return new Run(tokens, seconds, after.steps() - before.steps());
  }
}
