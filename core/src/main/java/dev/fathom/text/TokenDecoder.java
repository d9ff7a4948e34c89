package dev.fathom.text;

/**
 * Turns the tokens of one stream into text as they come.
 *
 * <p>Each call returns the characters that its token completes, so the text never ends inside a
 * code point; up to three bytes are held back. The concatenation of all that {@link #accept} and
 * {@link #flush} return equals {@link Tokenizer#decode} of all tokens. To leave special tokens out,
 * do not feed them. Not safe for several threads.
 */
public final class TokenDecoder {
  private final Tokenizer tokenizer;
  private final Utf8Decoder utf8 = new Utf8Decoder();
  private final StringBuilder out = new StringBuilder();

  /** Starts a stream of the tokenizer's tokens. */
  public TokenDecoder(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
  }

  /**
   * Takes the next token.
   *
   * @param tokenId any id of the model; one without a token string adds nothing
   * @return the characters completed by this token, often empty
   * @throws IllegalArgumentException if the id is negative
   */
  public String accept(int tokenId) {
    tokenizer.decode(tokenId, utf8, out);
    return take();
  }

  /** Ends the text: returns U+FFFD if an incomplete character was held back; starts a new text. */
  public String flush() {
    utf8.flush(out);
    return take();
  }

  private String take() {
    if (out.isEmpty()) {
      return "";
    }
    String text = out.toString();
    out.setLength(0);
    return text;
  }
}
