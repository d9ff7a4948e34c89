package dev.fathom;

import java.util.List;

/**
 * A token with its natural log-probability.
 *
 * @param id token id
 * @param logprob of the raw logits, unless the request asked for processed ones
 * @param top the most probable tokens of the same row, best first; empty where none were asked for
 */
public record TokenLogprob(int id, float logprob, List<Alternative> top) {

  /** Copies the list. */
  public TokenLogprob {
    top = List.copyOf(top);
  }

  /**
   * One of the most probable tokens of a row.
   *
   * @param id token id
   * @param logprob natural log-probability
   */
  public record Alternative(int id, float logprob) {}
}
