package dev.fathom.checkpoint;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What {@code generation_config.json} recommends; null where it says nothing.
 *
 * @param doSample whether to sample rather than to take the likeliest token
 * @param temperature at least 0
 * @param topP in [0, 1]
 * @param topK candidates kept; 0 or -1 for all
 * @param repetitionPenalty above 0
 * @param maxNewTokens at least 1
 * @param bosId token put before the text
 * @param padId token of padding
 * @param eosIds tokens that end the text; empty if the file does not say
 */
public record GenerationDefaults(
    @Nullable Boolean doSample,
    @Nullable Double temperature,
    @Nullable Double topP,
    @Nullable Integer topK,
    @Nullable Double repetitionPenalty,
    @Nullable Integer maxNewTokens,
    @Nullable Integer bosId,
    @Nullable Integer padId,
    List<Integer> eosIds) {

  /** Of a checkpoint without the file. */
  public static final GenerationDefaults NONE =
      new GenerationDefaults(null, null, null, null, null, null, null, null, List.of());

  /** Copies the list. */
  public GenerationDefaults {
    eosIds = List.copyOf(eosIds);
  }

  /**
   * Reads the file.
   *
   * @throws dev.fathom.error.ModelConfigException if a value has the wrong kind or range
   */
  public static GenerationDefaults of(ModelConfig file) {
    return new GenerationDefaults(
        file.has("do_sample") ? file.booleanAt("do_sample") : null,
        number(file, "temperature", 0, 100),
        number(file, "top_p", 0, 1),
        integer(file, "top_k", -1),
        number(file, "repetition_penalty", 1e-3, 1e3),
        integer(file, "max_new_tokens", 1),
        firstId(file, "bos_token_id"),
        firstId(file, "pad_token_id"),
        file.tokenIdsAt("eos_token_id"));
  }

  private static @Nullable Double number(ModelConfig file, String key, double min, double max) {
    return file.has(key) ? file.doubleAt(key, min, max) : null;
  }

  private static @Nullable Integer integer(ModelConfig file, String key, int min) {
    return file.has(key) ? file.intAt(key, min, Integer.MAX_VALUE) : null;
  }

  private static @Nullable Integer firstId(ModelConfig file, String key) {
    List<Integer> ids = file.tokenIdsAt(key);
    return ids.isEmpty() ? null : ids.getFirst();
  }
}
