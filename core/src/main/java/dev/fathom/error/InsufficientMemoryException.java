package dev.fathom.error;

/** The model needs more memory than there is (codes 45xx). */
public final class InsufficientMemoryException extends FathomException {

  private static final long serialVersionUID = 1L;

  /** Creates the error from its three sentences. */
  public InsufficientMemoryException(ErrorCode code, String what, String why, String fix) {
    super(code, what, why, fix, null);
  }

  /** Creates the error with the failure that led to it. */
  public InsufficientMemoryException(
      ErrorCode code, String what, String why, String fix, Throwable cause) {
    super(code, what, why, fix, cause);
  }
}
