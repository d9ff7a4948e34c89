package dev.fathom;

import dev.fathom.text.ToolCall;
import java.util.List;

/**
 * The result of a request. The accessors without a choice speak of the first.
 *
 * @param choices the answers, n of them
 * @param usage tokens
 * @param timings durations
 */
public record Generation(List<Choice> choices, Usage usage, Timings timings) {

  /** Copies the list. */
  public Generation {
    choices = List.copyOf(choices);
    if (choices.isEmpty()) {
      throw new IllegalArgumentException("must be >= 1: choices=0");
    }
  }

  /** Returns the first answer's text. */
  public String text() {
    return first().text();
  }

  /** Returns the first answer's reasoning, empty where there is none. */
  public String reasoning() {
    return first().reasoning();
  }

  /** Returns the first answer's tool calls. */
  public List<ToolCall> toolCalls() {
    return first().toolCalls();
  }

  /** Returns why the first answer ended. */
  public FinishReason finishReason() {
    return first().finishReason();
  }

  /** Returns the first answer's tokens with their log-probabilities. */
  public List<TokenLogprob> logprobs() {
    return first().logprobs();
  }

  /** Returns the first answer's token ids, the end token included. */
  public int[] tokenIds() {
    return first().tokenIds();
  }

  private Choice first() {
    return choices.getFirst();
  }
}
