package dev.fathom.json;

/**
 * Says that a text is not the JSON that was asked for: which rule it breaks and at which byte.
 *
 * <p>Internal to Fathom: callers that know the file or the field wrap it in an exception of {@code
 * dev.fathom.error}. The rule never contains text of the document.
 */
public final class JsonException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Byte offset in the UTF-8 document at which the rule is broken. */
  private final int offset;

  /** The broken rule, without its place. */
  private final String rule;

  /**
   * Creates the exception.
   *
   * @param offset byte offset in the UTF-8 document, from 0
   * @param rule the broken rule as a sentence fragment, "a string must be closed"
   */
  public JsonException(int offset, String rule) {
    super(rule + ": offset=" + offset);
    this.offset = offset;
    this.rule = rule;
  }

  /** Byte offset in the UTF-8 document at which the rule is broken. */
  public int offset() {
    return offset;
  }

  /** The broken rule, without its place. */
  public String rule() {
    return rule;
  }
}
