package dev.fathom.engine;

import dev.fathom.text.OutputEvent;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What came of a choice.
 *
 * @param reason why it ended
 * @param stop the stop that came, null for other reasons
 * @param text content
 * @param reasoning reasoning
 * @param calls complete tool calls
 * @param tokens every token put out, without events
 * @param reasoningTokens how many of them are reasoning
 * @param seed of its random numbers
 */
public record ChoiceOutcome(
    EndReason reason,
    @Nullable String stop,
    String text,
    String reasoning,
    List<OutputEvent.Call> calls,
    List<TokenEvent> tokens,
    int reasoningTokens,
    long seed) {

  /** Copies the lists. */
  public ChoiceOutcome {
    calls = List.copyOf(calls);
    tokens = List.copyOf(tokens);
  }
}
