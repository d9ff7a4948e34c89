package dev.fathom.text;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.error.TextException;

/**
 * The texts of DeepSeek's control tokens. The bars are U+FF5C, the low lines U+2581. Tokens are
 * always resolved by text: their ids differ between checkpoints.
 */
final class ControlTokens {
  static final String BEGIN = "<｜begin▁of▁sentence｜>";
  static final String END = "<｜end▁of▁sentence｜>";
  static final String USER = "<｜User｜>";
  static final String ASSISTANT = "<｜Assistant｜>";
  static final String THINK = "<think>";
  static final String END_THINK = "</think>";
  static final String CALLS_BEGIN = "<｜tool▁calls▁begin｜>";
  static final String CALLS_END = "<｜tool▁calls▁end｜>";
  static final String CALL_BEGIN = "<｜tool▁call▁begin｜>";
  static final String CALL_END = "<｜tool▁call▁end｜>";
  static final String SEPARATOR = "<｜tool▁sep｜>";
  static final String OUTPUTS_BEGIN = "<｜tool▁outputs▁begin｜>";
  static final String OUTPUTS_END = "<｜tool▁outputs▁end｜>";
  static final String OUTPUT_BEGIN = "<｜tool▁output▁begin｜>";
  static final String OUTPUT_END = "<｜tool▁output▁end｜>";

  static final String DSML = "｜DSML｜";
  static final String REMINDER = "<｜latest_reminder｜>";
  static final String END_OF_TURN = "<|EOT|>";
  static final String FIM_BEGIN = "<｜fim▁begin｜>";
  static final String FIM_HOLE = "<｜fim▁hole｜>";
  static final String FIM_END = "<｜fim▁end｜>";

  private ControlTokens() {}

  /**
   * Checks that a tokenizer has the control tokens of a family.
   *
   * @throws TextException (3004) naming the first one that is missing
   */
  static void require(Tokenizer tokenizer, String family, String... tokens) {
    for (String token : tokens) {
      if (!tokenizer.isAdded(tokenizer.tokenId(token))) {
        throw new TextException(
            ErrorCode.CONTROL_TOKEN_MISSING,
            "The tokenizer does not fit the prompt family " + family,
            "it has no control token " + Text.quote(token),
            "use the checkpoint's own tokenizer.json, or name another family: "
                + String.join(", ", PromptEncoders.FAMILIES));
      }
    }
  }
}
