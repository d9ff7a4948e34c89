package dev.fathom.sampling;

/**
 * Changes the logits of a row before its token is drawn: after bias and penalties, before the token
 * mask and the temperature.
 *
 * <p>A pure function of the tokens so far: a processor keeps no state of a choice, because a row
 * may be computed again (a rejected draft) and choices run side by side. So one processor may serve
 * many requests. Processors of a request run in their order.
 *
 * <p>Runs on the engine's thread while every other request waits: it must be quick, must not block,
 * and must not call the model. What it throws fails its request alone. A row that it leaves without
 * any allowed token fails its request as well.
 */
@FunctionalInterface
public interface LogitsProcessor {

  /**
   * Changes the logits of the row that follows the history.
   *
   * @param history the tokens before the row
   * @param logits of the row, valid during the call
   */
  void process(TokenHistory history, LogitsRow logits);
}
