package dev.fathom.examples.eval;

/**
 * A prompt with one right answer.
 *
 * @param prompt trusted text, control tokens included
 * @param maxTokens where the answer is cut
 * @param rule how the answer is compared
 * @param expected what the rule looks for
 */
public record Exercise(String prompt, int maxTokens, Rule rule, String expected) {

  /** How an answer is compared with what is expected. */
  public enum Rule {
    /** The answer ends with the expected text; blanks after it do not count. */
    ENDS_WITH,
    /** The expected text is somewhere in the answer. */
    CONTAINS
  }

  /** Returns whether an answer, without its end token, is right. */
  public boolean isRight(String answer) {
    return switch (rule) {
      case ENDS_WITH -> answer.stripTrailing().endsWith(expected);
      case CONTAINS -> answer.contains(expected);
    };
  }
}
