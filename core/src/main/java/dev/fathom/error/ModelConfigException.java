package dev.fathom.error;

/** The configuration or the tensors do not describe a model that can run here (codes 2xxx). */
public final class ModelConfigException extends FathomException {

  private static final long serialVersionUID = 1L;

  /** Creates the error from its three sentences. */
  public ModelConfigException(ErrorCode code, String what, String why, String fix) {
    super(code, what, why, fix, null);
  }

  /** Creates the error with the failure that led to it. */
  public ModelConfigException(
      ErrorCode code, String what, String why, String fix, Throwable cause) {
    super(code, what, why, fix, cause);
  }
}
