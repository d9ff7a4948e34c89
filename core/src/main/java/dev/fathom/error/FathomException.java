package dev.fathom.error;

import org.jspecify.annotations.Nullable;

/**
 * The root of every error that this library reports on purpose.
 *
 * <p>Each says what is wrong, why, and how to mend it, under a stable {@link ErrorCode}. The
 * message reads {@code FATHOM-1000 what: why. Fix: fix}. Text that came from a file or a user has
 * been passed through {@link Text#quote}.
 */
public abstract sealed class FathomException extends RuntimeException
    permits CheckpointException,
        ModelConfigException,
        TextException,
        BackendException,
        InsufficientMemoryException,
        InvalidRequestException,
        GenerationException,
        EngineOverloadedException {

  private static final long serialVersionUID = 1L;

  private final ErrorCode code;
  private final String what;
  private final String why;
  private final String fix;

  FathomException(ErrorCode code, String what, String why, String fix, @Nullable Throwable cause) {
    super(code.id() + " " + what + ": " + why + ". Fix: " + fix, cause);
    this.code = code;
    this.what = what;
    this.why = why;
    this.fix = fix;
  }

  /** Returns the stable code. */
  public ErrorCode code() {
    return code;
  }

  /** Returns what is wrong, in one clause. */
  public String what() {
    return what;
  }

  /** Returns the reason, in one clause. */
  public String why() {
    return why;
  }

  /** Returns what to do about it, in one sentence without a full stop. */
  public String fix() {
    return fix;
  }
}
