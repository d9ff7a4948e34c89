package dev.fathom.text;

import static dev.fathom.text.ControlTokens.BEGIN;
import static dev.fathom.text.ControlTokens.FIM_BEGIN;
import static dev.fathom.text.ControlTokens.FIM_END;
import static dev.fathom.text.ControlTokens.FIM_HOLE;

/**
 * Prompts that ask for what stands between two texts: Coder, Coder-V2, V2.5, V3 and later. The
 * model's answer is the middle. Immutable; safe for several threads.
 */
public final class FillInTheMiddle {
  private final Tokenizer tokenizer;

  /**
   * Creates an encoder.
   *
   * @throws dev.fathom.error.TextException (3004) if the tokenizer lacks a control token
   */
  public FillInTheMiddle(Tokenizer tokenizer) {
    ControlTokens.require(tokenizer, "fill in the middle", BEGIN, FIM_BEGIN, FIM_HOLE, FIM_END);
    this.tokenizer = tokenizer;
  }

  /** Returns the prompt as text, control tokens included: for inspection, not for encoding. */
  public String render(String before, String after) {
    return BEGIN + FIM_BEGIN + before + FIM_HOLE + after + FIM_END;
  }

  /**
   * Returns the prompt's token ids, the beginning-of-sentence token first. No added token comes out
   * of the texts.
   *
   * @param before what stands in front of the hole
   * @param after what stands behind it
   */
  public int[] encode(String before, String after) {
    PromptWriter.Encoding out = new PromptWriter.Encoding(tokenizer);
    out.control(BEGIN).control(FIM_BEGIN).text(before);
    out.control(FIM_HOLE).text(after).control(FIM_END);
    return out.toIds();
  }
}
