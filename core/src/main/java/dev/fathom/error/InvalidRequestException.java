package dev.fathom.error;

/** A request or an option breaks its rule (codes 5xxx). */
public final class InvalidRequestException extends FathomException {

  private static final long serialVersionUID = 1L;

  /** Creates the error from its three sentences. */
  public InvalidRequestException(ErrorCode code, String what, String why, String fix) {
    super(code, what, why, fix, null);
  }

  /** Creates the error with the failure that led to it. */
  public InvalidRequestException(
      ErrorCode code, String what, String why, String fix, Throwable cause) {
    super(code, what, why, fix, cause);
  }
}
