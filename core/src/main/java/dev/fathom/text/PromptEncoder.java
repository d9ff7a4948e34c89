package dev.fathom.text;

/**
 * Turns conversations into the prompts that one family of models was trained on.
 *
 * <p>Written by hand for each family; no template of a checkpoint is ever run. {@link #encode}
 * writes control tokens by id and encodes all text of messages and tools as plain text, so that no
 * user can forge a turn. Its ids equal {@link Tokenizer#encodeWithSpecials} of {@link #render}
 * whenever no such text contains the text of an added token. Implementations are immutable and safe
 * for several threads.
 */
public sealed interface PromptEncoder
    permits DeepSeekV2Prompt,
        DeepSeekCoderPrompt,
        DeepSeekV3Prompt,
        DeepSeekR1Prompt,
        DeepSeekV31Prompt,
        DeepSeekV32Prompt,
        DeepSeekV4Prompt,
        SamplePrompt {

  /** Returns the family by the name that {@link PromptEncoders#named} knows. */
  String family();

  /** Returns the prompt as text, control tokens included: for inspection, not for encoding. */
  String render(Conversation conversation, PromptOptions options);

  /** Returns the prompt's token ids, the beginning-of-sentence token first. */
  int[] encode(Conversation conversation, PromptOptions options);

  /**
   * Returns a parser for what the model answers to this prompt, which may have opened the reasoning
   * already.
   */
  OutputParser newParser(Conversation conversation, PromptOptions options);

  /** Returns the token that starts every prompt. */
  int beginId();

  /** Returns the token with which the model ends its answer. */
  int endId();
}
