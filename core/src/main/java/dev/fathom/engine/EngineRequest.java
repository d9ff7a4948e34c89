package dev.fathom.engine;

import dev.fathom.backend.SamplingParams;
import dev.fathom.text.OutputParser;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A checked request in the engine's terms. Arrays are not copied and must not change.
 *
 * @param promptIds 1 to contextTokens - 1 tokens
 * @param maxTokens most tokens put out by a choice, at least 1
 * @param minTokens tokens before an end token or stop counts
 * @param choices sampling parameters of each choice, at least one
 * @param endIds tokens that end a choice with {@link EndReason#EOS}; empty to ignore them
 * @param stopIds tokens that end a choice with {@link EndReason#STOP}
 * @param stops texts that end a choice with {@link EndReason#STOP}
 * @param parser makes a parser for each choice, null where all text is content
 * @param startsReasoning whether the first token belongs to reasoning
 * @param adapter name of a loaded adapter, or null
 * @param controls time, constraints, processors
 */
public record EngineRequest(
    int[] promptIds,
    int maxTokens,
    int minTokens,
    List<SamplingParams> choices,
    int[] endIds,
    int[] stopIds,
    List<String> stops,
    @Nullable Supplier<OutputParser> parser,
    boolean startsReasoning,
    @Nullable String adapter,
    RequestControls controls) {

  /** Copies the lists. */
  public EngineRequest {
    choices = List.copyOf(choices);
    stops = List.copyOf(stops);
  }

  /** A request without adapter and controls. */
  public EngineRequest(
      int[] promptIds,
      int maxTokens,
      int minTokens,
      List<SamplingParams> choices,
      int[] endIds,
      int[] stopIds,
      List<String> stops,
      @Nullable Supplier<OutputParser> parser,
      boolean startsReasoning) {
    this(
        promptIds,
        maxTokens,
        minTokens,
        choices,
        endIds,
        stopIds,
        stops,
        parser,
        startsReasoning,
        null,
        RequestControls.NONE);
  }

  /** Returns the same request with other controls. */
  public EngineRequest with(RequestControls others) {
    return new EngineRequest(
        promptIds,
        maxTokens,
        minTokens,
        choices,
        endIds,
        stopIds,
        stops,
        parser,
        startsReasoning,
        adapter,
        others);
  }
}
