package dev.fathom.text;

import static dev.fathom.text.ControlTokens.ASSISTANT;
import static dev.fathom.text.ControlTokens.BEGIN;
import static dev.fathom.text.ControlTokens.END;
import static dev.fathom.text.ControlTokens.END_THINK;
import static dev.fathom.text.ControlTokens.THINK;
import static dev.fathom.text.ControlTokens.USER;

/**
 * Prompts of DeepSeek R1, R1-0528 and the distilled models: V3's grammar by models that always
 * reason first.
 *
 * <p>Earlier answers keep only what follows their last {@code </think>}. {@link
 * PromptOptions#thinking} is ignored.
 *
 * <p>The distilled models (R1-Distill-Qwen, R1-Distill-Llama, 0528-Qwen3-8B) bring their own
 * tokenizers, in which the tokens of turns and reasoning have other ids and those of tools are
 * missing: calls and results are then written as text, as the published template does.
 */
public final class DeepSeekR1Prompt implements PromptEncoder {

  /** Who writes the opening tag of the reasoning. */
  public enum OpeningTag {
    /**
     * The prompt, which ends in {@code <think>} and a line feed: R1 since February 2025, distills.
     */
    BY_PROMPT,
    /** The model: R1 as first published and R1-0528. */
    BY_MODEL
  }

  /** What an answer is in which {@code </think>} never comes. */
  public enum UnclosedReasoning {
    /** Reasoning that ran out of tokens; it can be streamed as it comes. */
    IS_REASONING,
    /**
     * The answer; nothing can be told before {@code </think>} or the end, so nothing is streamed.
     */
    IS_CONTENT
  }

  private final Tokenizer tokenizer;
  private final OpeningTag openingTag;
  private final UnclosedReasoning unclosed;

  /**
   * Creates an encoder.
   *
   * @throws dev.fathom.error.TextException (3004) if the tokenizer lacks a control token
   */
  public DeepSeekR1Prompt(
      Tokenizer tokenizer, OpeningTag openingTag, UnclosedReasoning unclosedReasoning) {
    ControlTokens.require(tokenizer, "deepseek-r1", BEGIN, END, USER, ASSISTANT, THINK, END_THINK);
    this.tokenizer = tokenizer;
    this.openingTag = openingTag;
    this.unclosed = unclosedReasoning;
  }

  @Override
  public String family() {
    return openingTag == OpeningTag.BY_PROMPT ? "deepseek-r1" : "deepseek-r1-0528";
  }

  @Override
  public String render(Conversation conversation, PromptOptions options) {
    PromptWriter.Rendering out = new PromptWriter.Rendering();
    write(conversation, options, out);
    return out.toString();
  }

  @Override
  public int[] encode(Conversation conversation, PromptOptions options) {
    PromptWriter.Encoding out = new PromptWriter.Encoding(tokenizer);
    write(conversation, options, out);
    return out.toIds();
  }

  @Override
  public OutputParser newParser(Conversation conversation, PromptOptions options) {
    boolean reasons =
        openingTag == OpeningTag.BY_MODEL || !PromptParts.endsInToolResult(conversation);
    boolean open = PromptParts.isOpen(reasons, options.assistantPrefix());
    OutputParser.Start opened =
        unclosed == UnclosedReasoning.IS_REASONING
            ? OutputParser.Start.REASONING
            : OutputParser.Start.UNDECIDED;
    OutputParser.Start start = open ? opened : OutputParser.Start.CONTENT;
    return new OutputParser(tokenizer, OutputGrammar.R1, start);
  }

  @Override
  public int beginId() {
    return tokenizer.tokenId(BEGIN);
  }

  @Override
  public int endId() {
    return tokenizer.tokenId(END);
  }

  private void write(Conversation conversation, PromptOptions options, PromptWriter out) {
    PromptParts.requireCommon(conversation, family());
    V3Turns.writeSystem(PromptParts.joinedSystem(conversation), conversation.tools(), out);
    boolean inOutputs =
        V3Turns.write(conversation, text -> PromptParts.afterLast(text, END_THINK), out);
    if (options.generationPrompt() && !inOutputs) {
      out.control(ASSISTANT);
      if (openingTag == OpeningTag.BY_PROMPT) {
        out.control(THINK).text("\n");
      }
    }
    out.prefix(options.assistantPrefix());
  }
}
