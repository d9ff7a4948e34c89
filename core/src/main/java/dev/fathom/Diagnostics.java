package dev.fathom;

/**
 * What a loaded model runs on, for logs and bug reports.
 *
 * @param backend name of the backend
 * @param backendReason why it was chosen, and why no faster one
 * @param backendDescription SIMD width, threads, device, named modes
 * @param memory what was planned
 * @param program the compiled program, one operation a line
 * @param samplingDefaults what requests start from, and where that came from
 * @param promptFormat name of the prompt format
 * @param modelType architecture as config.json names it
 * @param contextTokens most tokens of a sequence
 * @param maxLogitsChunk most tokens of a {@link DeepSeekModel#logits} chunk
 */
public record Diagnostics(
    String backend,
    String backendReason,
    String backendDescription,
    MemoryPlan memory,
    String program,
    String samplingDefaults,
    String promptFormat,
    String modelType,
    int contextTokens,
    int maxLogitsChunk) {

  /** Returns everything but the program, one line each. */
  @Override
  public String toString() {
    return "model "
        + modelType
        + ", context "
        + contextTokens
        + " tokens"
        + "\nbackend "
        + backend
        + " ("
        + backendReason
        + ")"
        + "\n  "
        + backendDescription
        + "\nmemory "
        + memory.breakdown()
        + "\nsampling "
        + samplingDefaults
        + "\nprompt format "
        + promptFormat;
  }
}
