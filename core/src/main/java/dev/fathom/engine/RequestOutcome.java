package dev.fathom.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The one terminal event of a request.
 *
 * @param choices what came of each choice
 * @param failure why the request failed, null where it did not; cancelling is no failure
 * @param promptTokens tokens of the prompt
 * @param cachedTokens those of them that the first choice found cached
 * @param drafts what came of guesses, all choices together
 * @param queueNanos from submission to the first step
 * @param prefillNanos from there to the first token
 * @param decodeNanos from the first token to the end
 */
public record RequestOutcome(
    List<ChoiceOutcome> choices,
    @Nullable RuntimeException failure,
    int promptTokens,
    int cachedTokens,
    DraftCounts drafts,
    long queueNanos,
    long prefillNanos,
    long decodeNanos) {

  /** Copies the list. */
  public RequestOutcome {
    choices = List.copyOf(choices);
  }
}
