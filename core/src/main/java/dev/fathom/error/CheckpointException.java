package dev.fathom.error;

/** A file of the checkpoint is missing, damaged or not what it claims to be (codes 1xxx). */
public final class CheckpointException extends FathomException {

  private static final long serialVersionUID = 1L;

  /** Creates the error from its three sentences. */
  public CheckpointException(ErrorCode code, String what, String why, String fix) {
    super(code, what, why, fix, null);
  }

  /** Creates the error with the failure that led to it. */
  public CheckpointException(ErrorCode code, String what, String why, String fix, Throwable cause) {
    super(code, what, why, fix, cause);
  }
}
