package dev.fathom.engine;

import dev.fathom.text.OutputEvent;
import java.util.List;

/**
 * A sampled token, or text that the end of a choice released.
 *
 * @param choice which choice, from 0
 * @param index position among the choice's tokens, from 0
 * @param token id, or -1 where only text is released
 * @param logprob natural log-probability, NaN without a token
 * @param top the most probable tokens of the row, best first
 * @param reasoning whether the token belongs to the reasoning
 * @param events text and calls that became certain
 */
public record TokenEvent(
    int choice,
    int index,
    int token,
    float logprob,
    List<Ranked> top,
    boolean reasoning,
    List<OutputEvent> events) {

  /**
   * A token with its natural log-probability.
   *
   * @param token id
   * @param logprob natural log-probability
   */
  public record Ranked(int token, float logprob) {}
}
