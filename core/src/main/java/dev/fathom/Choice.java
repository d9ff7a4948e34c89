package dev.fathom;

import dev.fathom.text.ToolCall;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One answer of a generation.
 *
 * @param index which of the n answers, from 0
 * @param text the answer without reasoning, tool calls, end tokens and stop strings
 * @param reasoning the reasoning, empty where there is none
 * @param toolCalls complete calls in their order
 * @param finishReason why it ended
 * @param stop the stop string that came, or the stop token's id as text; null for other reasons
 * @param logprobs every token put out, the end token included, with its log-probability
 * @param seed what its random numbers were drawn from; repeats the answer
 */
public record Choice(
    int index,
    String text,
    String reasoning,
    List<ToolCall> toolCalls,
    FinishReason finishReason,
    @Nullable String stop,
    List<TokenLogprob> logprobs,
    long seed) {

  /** Copies the lists. */
  public Choice {
    toolCalls = List.copyOf(toolCalls);
    logprobs = List.copyOf(logprobs);
  }

  /** Returns the ids of every token put out, the end token included. */
  public int[] tokenIds() {
    return logprobs.stream().mapToInt(TokenLogprob::id).toArray();
  }
}
