package dev.fathom;

import dev.fathom.checkpoint.GenerationDefaults;
import java.util.Locale;

/**
 * What requests start from, as {@code generation_config.json} says.
 *
 * <p>Without {@code do_sample: true} the most probable token is taken. A missing top_k keeps all
 * tokens, as the model cards assume.
 *
 * @param temperature 0 for greedy
 * @param topK 0 keeps all
 * @param topP 1 keeps all
 * @param repetitionPenalty 1 is off
 * @param maxTokens most tokens put out
 * @param source where they come from
 */
record SamplingDefaults(
    float temperature,
    int topK,
    float topP,
    float repetitionPenalty,
    int maxTokens,
    String source) {

  static SamplingDefaults of(GenerationDefaults file) {
    boolean samples = Boolean.TRUE.equals(file.doSample());
    double temperature = file.temperature() == null ? 1 : file.temperature();
    double topP = file.topP() == null || file.topP() == 0 ? 1 : file.topP();
    Integer newTokens = file.maxNewTokens();
    return new SamplingDefaults(
        samples ? (float) temperature : 0,
        file.topK() == null ? 0 : Math.max(0, file.topK()),
        (float) topP,
        file.repetitionPenalty() == null ? 1 : file.repetitionPenalty().floatValue(),
        newTokens == null ? GenerationRequest.DEFAULT_MAX_TOKENS : newTokens,
        file.equals(GenerationDefaults.NONE)
            ? "no generation_config.json"
            : "generation_config.json");
  }

  @Override
  public String toString() {
    String how =
        temperature == 0
            ? "greedy"
            : String.format(Locale.ROOT, "temperature=%s topK=%d topP=%s", temperature, topK, topP);
    return String.format(
        Locale.ROOT,
        "%s repetitionPenalty=%s maxTokens=%d (%s)",
        how,
        repetitionPenalty,
        maxTokens,
        source);
  }
}
