package dev.fathom;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Numbers of an engine at one moment: counters since loading, gauges as of the last step,
 * histograms of requests. Nothing of a prompt is in them.
 *
 * <p>A snapshot lies between two events of the engine's thread, so its numbers fit together; taking
 * one never waits for the engine. Times of a request begin when it is submitted.
 *
 * @param runningSequences sequences that run (n of them for a request with n choices)
 * @param waitingRequests requests that were not started yet
 * @param pausedRequests requests that sit out because their readers are slow
 * @param kvUsage part of the KV blocks in use, 0 to 1
 * @param steps steps that ended well
 * @param failedSteps steps that failed
 * @param promptTokens tokens of prompts whose requests started
 * @param generationTokens tokens put out, end tokens included
 * @param prefixQueries prompt tokens looked for in the prefix cache
 * @param prefixHits prompt tokens found there
 * @param preemptions sequences that lost their blocks and were computed again
 * @param rejectedRequests requests refused because too many waited
 * @param drafts drafts that were verified
 * @param draftTokens tokens of drafts
 * @param acceptedTokens tokens of drafts that were accepted
 * @param finished choices by why they ended
 * @param histograms times and sizes
 * @param secondTier blocks outside the KV cache, all 0 without such a tier
 * @param expertLoad tokens of each expert, for each layer with experts; empty for dense models and
 *     backends that do not count. Counted while steps run, so it may be ahead of the rest
 */
public record EngineMetrics(
    long runningSequences,
    long waitingRequests,
    long pausedRequests,
    double kvUsage,
    long steps,
    long failedSteps,
    long promptTokens,
    long generationTokens,
    long prefixQueries,
    long prefixHits,
    long preemptions,
    long rejectedRequests,
    long drafts,
    long draftTokens,
    long acceptedTokens,
    Map<FinishReason, Long> finished,
    Histograms histograms,
    SecondTier secondTier,
    List<LayerLoad> expertLoad) {

  /** Copies map and list. */
  public EngineMetrics {
    Map<FinishReason, Long> copy = new EnumMap<>(FinishReason.class);
    copy.putAll(finished);
    finished = Map.copyOf(copy);
    expertLoad = List.copyOf(expertLoad);
  }

  /** Returns the part of draft tokens that was accepted, 0 without drafts. */
  public double draftAcceptance() {
    return draftTokens == 0 ? 0 : (double) acceptedTokens / draftTokens;
  }

  /**
   * Returns all numbers in the text format of Prometheus, under the names that vLLM gave them.
   *
   * @param prefix put before each name, such as {@code "fathom:"} or {@code "vllm:"}
   */
  public String toPrometheus(String prefix) {
    return new PrometheusText(prefix).render(this);
  }

  /**
   * Times in seconds and numbers of tokens.
   *
   * @param timeToFirstToken from submission to the first token
   * @param interToken between two tokens of a choice
   * @param timePerOutputToken mean of a request after its first token
   * @param endToEnd from submission to the end
   * @param queue from submission to the first step
   * @param prefill from the first step to the first token
   * @param decode from the first token to the end
   * @param promptTokens tokens of the prompt of a request
   * @param generationTokens tokens put out by a request
   * @param stepTokens tokens of a step
   */
  public record Histograms(
      Histogram timeToFirstToken,
      Histogram interToken,
      Histogram timePerOutputToken,
      Histogram endToEnd,
      Histogram queue,
      Histogram prefill,
      Histogram decode,
      Histogram promptTokens,
      Histogram generationTokens,
      Histogram stepTokens) {}

  /**
   * What {@link LoadOptions#kvHostMemory} and {@link LoadOptions#kvFolder} keep.
   *
   * @param keptBlocks blocks that it took
   * @param restoredTokens prompt tokens that came back from it; they are among prefixHits
   * @param damagedBlocks blocks of files that were not as they were written, and were not used
   */
  public record SecondTier(long keptBlocks, long restoredTokens, long damagedBlocks) {}

  /**
   * What the experts of a layer computed.
   *
   * @param layer its number in the model
   * @param tokens tokens of each routed expert, prompts and guesses that did not hold included
   */
  public record LayerLoad(int layer, List<Long> tokens) {

    /** Copies the list. */
    public LayerLoad {
      tokens = List.copyOf(tokens);
    }

    /**
     * Returns mean over maximum: 1 if all experts did the same or nothing, 1/E if one did all. What
     * expert parallelism loses to waiting.
     */
    public double balancedness() {
      long max = 0;
      long sum = 0;
      for (long count : tokens) {
        max = Math.max(max, count);
        sum += count;
      }
      return max == 0 ? 1 : (double) sum / tokens.size() / max;
    }
  }

  /**
   * Values in buckets.
   *
   * @param bounds upper bounds of the buckets, included, rising
   * @param counts values in each bucket, and at the end those above all bounds
   * @param sum of all values
   */
  public record Histogram(List<Double> bounds, List<Long> counts, double sum) {

    /** Copies the lists. */
    public Histogram {
      bounds = List.copyOf(bounds);
      counts = List.copyOf(counts);
      if (counts.size() != bounds.size() + 1) {
        throw new IllegalArgumentException(
            "must be bounds + 1: counts=" + counts.size() + " bounds=" + bounds.size());
      }
    }

    static Histogram of(double[] bounds, long[] counts, double sum) {
      return new Histogram(
          Arrays.stream(bounds).boxed().toList(), Arrays.stream(counts).boxed().toList(), sum);
    }

    /** Returns the number of values. */
    public long count() {
      return counts.stream().mapToLong(i -> i).sum();
    }

    /** Returns the mean, 0 without values. */
    public double mean() {
      long count = count();
      return count == 0 ? 0 : sum / count;
    }

    /**
     * Returns an upper bound of a quantile: that of the bucket it falls into; infinity above all.
     *
     * @param q in [0, 1]
     */
    public double quantile(double q) {
      long wanted = (long) Math.ceil(q * count());
      long seen = 0;
      for (int i = 0; i < bounds.size(); i++) {
        seen += counts.get(i);
        if (seen >= wanted) {
          return bounds.get(i);
        }
      }
      return Double.POSITIVE_INFINITY;
    }
  }
}
