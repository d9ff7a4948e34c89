package dev.fathom;

import dev.fathom.text.ToolCall;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One event of a {@link TokenStream}: a token of the model with the text that it completes.
 *
 * <p>The text may be empty: of an end token, of an incomplete character, or of text that may yet
 * turn out to be part of a stop string or a tag. It then comes with a later token. Where a token
 * completes text of two kinds, or the end of the stream releases text, further events follow with
 * {@link #NO_ID} as id.
 *
 * @param choice which of the request's n answers, from 0
 * @param index position in that answer's tokens, from 0
 * @param id token id, or {@link #NO_ID}
 * @param text what became certain, often empty
 * @param kind which part of the answer the text belongs to
 * @param logprob natural log-probability of the token; NaN without an id
 * @param alternatives the most probable tokens, best first; empty where none were asked for
 * @param toolCall a call that is now complete, or null
 */
public record Token(
    int choice,
    int index,
    int id,
    String text,
    TokenKind kind,
    float logprob,
    List<TokenLogprob.Alternative> alternatives,
    @Nullable ToolCall toolCall) {

  /** Id of an event that carries text alone. */
  public static final int NO_ID = -1;

  /** Copies the list. */
  public Token {
    alternatives = List.copyOf(alternatives);
  }
}
