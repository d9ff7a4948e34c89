package dev.fathom.error;

/**
 * Stable numbers of every error that a user can meet.
 *
 * <p>The number never changes once released and never gets another meaning. Blocks: 1xxx checkpoint
 * files, 2xxx configuration and architecture, 3xxx text, 4xxx backends, 45xx memory, 5xxx requests,
 * 6xxx generation.
 */
public enum ErrorCode {
  /** A file or folder of the checkpoint is not there. */
  CHECKPOINT_NOT_FOUND(1000, "Checkpoint not found"),

  /** The architecture named by config.json is not one this library knows. */
  UNKNOWN_ARCHITECTURE(2000, "Unknown architecture"),
  /** A tensor that the architecture needs is not in the checkpoint. */
  TENSOR_MISSING(2001, "Tensor missing"),
  /** A tensor's shape or data type is not what the configuration says. */
  TENSOR_MISMATCH(2002, "Tensor does not match the configuration"),
  /** A configuration value breaks a rule of the architecture. */
  CONFIG_RULE(2003, "Configuration value not allowed"),

  /** A tokenizer could not be read. */
  TOKENIZER_INVALID(3000, "Tokenizer not usable"),

  /** The backend that was asked for cannot run here. */
  BACKEND_UNAVAILABLE(4000, "Backend unavailable"),
  /** No backend has the name that was asked for. */
  BACKEND_UNKNOWN(4001, "Unknown backend"),
  /** The program has an operation or format that the backend does not support. */
  BACKEND_UNSUPPORTED(4002, "Not supported by the backend"),
  /** The backend failed in a way that it cannot recover from. */
  BACKEND_BROKEN(4003, "Backend broken"),

  /** What the model needs is more than there is. */
  MEMORY_INSUFFICIENT(4500, "Not enough memory"),

  /** A value of a request is out of its range. */
  REQUEST_INVALID(5000, "Invalid request"),
  /** The prompt does not fit the context. */
  PROMPT_TOO_LONG(5001, "Prompt too long"),

  /** The model was closed. */
  MODEL_CLOSED(6000, "Model closed"),
  /** The generation was cancelled before it could give a result. */
  GENERATION_CANCELLED(6001, "Generation cancelled"),
  /** The generation failed. */
  GENERATION_FAILED(6002, "Generation failed"),
  /** The engine cannot take another request now. */
  ENGINE_OVERLOADED(6003, "Engine overloaded");

  private final int number;
  private final String title;

  ErrorCode(int number, String title) {
    this.number = number;
    this.title = title;
  }

  /** Returns the stable number, such as 1000. */
  public int number() {
    return number;
  }

  /** Returns the short title for lists and documentation. */
  public String title() {
    return title;
  }

  /** Returns the code as users see it, such as {@code FATHOM-1000}. */
  public String id() {
    return "FATHOM-" + number;
  }
}
