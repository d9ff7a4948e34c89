package dev.fathom.backend;

import org.jspecify.annotations.Nullable;

/**
 * How a row is sampled. Applied in this order: logit bias, repetition, presence and frequency
 * penalties, processors of the row, token mask, temperature, top-k, top-p, min-p. Values were
 * checked where they were set.
 *
 * @param temperature 0 takes the most probable token (lowest id on ties); otherwise logits are
 *     divided by it
 * @param topK keep the k most probable, 0 keeps all
 * @param topP keep the smallest set whose probability reaches it, 1 keeps all
 * @param minP drop what is less probable than it times the best, 0 keeps all
 * @param repetitionPenalty divides positive and multiplies negative logits of tokens seen in prompt
 *     or output, 1 is off
 * @param presencePenalty subtracted once from tokens seen in the output
 * @param frequencyPenalty subtracted for each time a token was seen in the output
 * @param seed with the position of the row it determines the random number
 * @param topLogprobs alternatives wanted, 0 to 20
 * @param processedLogprobs whether log-probabilities are taken after all the above instead of from
 *     the raw logits
 * @param logitBias added to logits, or null
 */
public record SamplingParams(
    float temperature,
    int topK,
    float topP,
    float minP,
    float repetitionPenalty,
    float presencePenalty,
    float frequencyPenalty,
    long seed,
    int topLogprobs,
    boolean processedLogprobs,
    @Nullable LogitBias logitBias) {

  /** The most probable token, nothing else. */
  public static final SamplingParams GREEDY =
      new SamplingParams(0, 0, 1, 0, 1, 0, 0, 0, 0, false, null);

  /**
   * Values added to the logits of some tokens. The arrays are not copied and must not change.
   *
   * @param token ids, each once
   * @param bias what is added to each
   */
  public record LogitBias(int[] token, float[] bias) {}
}
