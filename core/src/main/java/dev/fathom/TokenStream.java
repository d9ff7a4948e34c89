package dev.fathom;

import java.util.Iterator;

/**
 * The tokens of a running generation, in the order in which they come.
 *
 * <p>Iterate once, on one thread at a time; {@code next} waits for the next token. Closing cancels
 * what is still running and frees its KV blocks within a step; it is idempotent, may be called from
 * any thread, and wakes a waiting iterator, which then ends. Interrupting a waiting thread closes
 * the stream. At most {@link GenerationRequest#streamBuffer()} tokens wait in memory until they are
 * taken; then the generation sits out and others go on. A stream that is dropped without closing is
 * cancelled when the garbage collector found it and its tokens would not fit.
 */
public interface TokenStream extends Iterable<Token>, AutoCloseable {

  /**
   * Returns the one iterator; a second call continues where the first stopped.
   *
   * <p>{@code hasNext} throws {@link dev.fathom.error.GenerationException} where the generation
   * failed or the model was closed, after the tokens that came before.
   */
  @Override
  Iterator<Token> iterator();

  /**
   * Waits until the generation ended and returns what came of it, with {@link
   * FinishReason#CANCELLED} after closing and {@link FinishReason#ERROR} after a failure. Tokens
   * that were not taken stay available, all of them: waiting here lifts the bound.
   */
  Generation result();

  @Override
  void close();
}
