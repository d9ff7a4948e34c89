package dev.fathom.error;

/** A tokenizer or a prompt cannot be used (codes 3xxx). */
public final class TextException extends FathomException {

  private static final long serialVersionUID = 1L;

  /** Creates the error from its three sentences. */
  public TextException(ErrorCode code, String what, String why, String fix) {
    super(code, what, why, fix, null);
  }

  /** Creates the error with the failure that led to it. */
  public TextException(ErrorCode code, String what, String why, String fix, Throwable cause) {
    super(code, what, why, fix, cause);
  }
}
