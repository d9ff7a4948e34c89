package dev.fathom.error;

/** A generation ended without a result (codes 6xxx). */
public final class GenerationException extends FathomException {

  private static final long serialVersionUID = 1L;

  /** Creates the error from its three sentences. */
  public GenerationException(ErrorCode code, String what, String why, String fix) {
    super(code, what, why, fix, null);
  }

  /** Creates the error with the failure that led to it. */
  public GenerationException(ErrorCode code, String what, String why, String fix, Throwable cause) {
    super(code, what, why, fix, cause);
  }
}
